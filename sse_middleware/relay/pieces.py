"""What an answer is made of, whichever vendor sent it: what was said, called and used."""

from typing import Any, Mapping, NamedTuple, Optional, Union

__all__ = ["MESSAGE", "REASONING", "REFUSAL", "Called", "Piece", "Said", "Used"]

MESSAGE = "message"
REASONING = "reasoning"
REFUSAL = "refusal"


class Said(NamedTuple):
    """Some text. ``event`` is one of the three names above; ``choice`` counts from 0."""

    event: str
    text: str
    choice: int = 0


class Called(NamedTuple):
    """A whole call of a tool.

    ``kind`` is "function", or "custom" where the input is free text; ``number``
    counts the calls of its choice from 0.
    """

    id: Optional[str]
    name: str
    arguments: str
    kind: str = "function"
    choice: int = 0
    number: int = 0


class Used(NamedTuple):
    """The tokens that the answer cost, in the vendor's own words."""

    usage: Mapping[str, Any]


Piece = Union[Said, Called, Used]

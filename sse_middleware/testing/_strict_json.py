"""JSON as everybody else reads it: the standard library also takes NaN and Infinity."""

import json
from typing import Any, Callable, Union

__all__ = ["strict_json"]


def strict_json(text: Union[str, bytes], *, parse_float: Callable[[str], float] = float) -> Any:
    """The value of ``text``; ``parse_float`` reads its numbers with a point or an exponent.

    >>> strict_json(b'{"n": 1}')
    {'n': 1}

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, parse_constant=_refuse, parse_float=parse_float)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")

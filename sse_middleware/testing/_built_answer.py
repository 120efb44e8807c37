"""What a built recording is told to say, checked and cut into deltas.

The two APIs of OpenAI frame the same answer differently; what is alike in both is here. The same
arguments give the same bytes on every Python: words are told apart without Python's tables of
Unicode, which grow, and ids are hashes of what is said.
"""

import json
import re
from hashlib import sha256
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from sse_middleware.errors import OptionError, shown

__all__ = ["CREATED", "Answer", "Text", "ToolCall", "chunked", "compact", "counted", "padding"]

#: An answer, which is cut into deltas, or the deltas themselves.
Text = Union[str, Iterable[str]]

#: When every built answer was created, in seconds since the epoch.
CREATED = 1_700_000_000

_KEYS_OF_A_CALL = ("name", "arguments", "id")
_PAD_TO_CHARACTERS = 16
_MAX_INTERVAL_S = 1e6
# About as a tokenizer cuts: a word with the space before it, punctuation, line ends, more spaces.
_TOKEN = re.compile(
    r" ?[0-9A-Za-z\x80-\U0010ffff]{1,16}"
    r"| ?[!-/:-@\[-`{-~]{1,4}"
    r"|[\r\n]+"
    r"| +(?= )"
    r"|[\s\S]"
)


class ToolCall(NamedTuple):
    """One call that the answer makes; the arguments are text, JSON or not, in deltas."""

    id: str
    name: str
    deltas: List[str]


class Answer:
    """The deltas of an answer, its tool calls, and ids that no other answer has."""

    def __init__(
        self, text: Text, model: str, tool_calls: Sequence[Mapping[str, Any]], refusal: Text
    ) -> None:
        self.model = _text("model", model)
        self.deltas = _deltas("text", text)
        self.refusal = _deltas("refusal", refusal)
        calls = _calls(tool_calls)
        self._seed = compact([self.model, self.deltas, self.refusal, calls]).encode()
        self.calls = [
            ToolCall(call_id or self.id("call_", 24, number), name, _cut(arguments))
            for number, (name, arguments, call_id) in enumerate(calls)
        ]
        if self.refusal and (self.deltas or self.calls):
            raise OptionError("refusal", shown(refusal), "no text and no tool_calls beside it")

    @property
    def name(self) -> str:
        """The first words: what messages call the recording."""
        said = "".join(self.deltas or self.refusal) or ", ".join(call.name for call in self.calls)
        return said if len(said) <= 40 else f"{said[:39]}\u2026"

    @property
    def token_count(self) -> int:
        """As if each delta were one token."""
        return len(self.deltas) + len(self.refusal) + sum(len(call.deltas) for call in self.calls)

    def id(self, prefix: str, length: int, number: int = 0) -> str:
        """An id: always the same one for the same answer, prefix and number."""
        digest = sha256(f"{prefix}{number} ".encode("ascii") + self._seed).hexdigest()
        return prefix + digest[:length]


def compact(value: object) -> str:
    """JSON as OpenAI writes it: no spaces, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def padding(padded: str, number: int) -> str:
    """What follows ``padded`` in the ``obfuscation`` field, so that its length tells little.

    OpenAI fills up to a multiple of 16 characters, with random ones.
    """
    length = -len(padded) % _PAD_TO_CHARACTERS
    return sha256(f"{number} {padded}".encode()).hexdigest()[:length]


def chunked(frames: Sequence[bytes], interval_s: float) -> List[Tuple[float, int]]:
    """A chunk for each frame, ``interval_s`` after the one before."""
    good = isinstance(interval_s, (int, float)) and not isinstance(interval_s, bool)
    if not good or not 0 <= interval_s <= _MAX_INTERVAL_S:  # NaN is not in the range either
        raise OptionError("interval_s", shown(interval_s), "seconds, from 0 to 1e6")
    return [(interval_s if number else 0.0, len(frame)) for number, frame in enumerate(frames)]


def counted(usage: object, tokens: Mapping[str, Any], parts: Tuple[str, str]) -> Mapping[str, Any]:
    """The usage object: ``tokens`` where ``usage`` is True, else with the counts of that mapping.

    ``parts`` are the two keys whose sum ``total_tokens`` is, unless it is given.
    """
    given = _counts("usage", {} if usage is True else usage, tokens)
    for key in given:
        if key not in tokens:
            raise OptionError("usage key", shown(key), f"one of {', '.join(tokens)}")
    merged = {**tokens, **given}
    if "total_tokens" not in given:
        merged["total_tokens"] = merged[parts[0]] + merged[parts[1]]
    return merged


def _counts(thing: str, given: object, tokens: Mapping[str, Any]) -> Dict[str, Any]:
    """A copy of ``given``, where its objects also have the counts that ``tokens`` has in them."""
    if not isinstance(given, Mapping):
        raise OptionError(thing, shown(given), f"a mapping with keys of {', '.join(tokens)}")
    counts: Dict[str, Any] = {}
    for key, value in given.items():
        part = f"{thing}[{shown(key)}]"
        if isinstance(tokens.get(key), Mapping):
            counts[key] = {**tokens[key], **_counts(part, value, tokens[key])}
        elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise OptionError(part, shown(value), "a number of tokens")
        else:
            counts[_text(f"{thing} key", key)] = value
    return counts


def _deltas(thing: str, text: object) -> List[str]:
    """A str cut as a model would stream it; the items of any other iterable as they are."""
    if isinstance(text, str):
        return _cut(_text(thing, text, least=0))
    expected = "a str, or an iterable of str"
    if isinstance(text, (bytes, bytearray, Mapping)) or not isinstance(text, Iterable):
        raise OptionError(thing, shown(text), expected)
    return [_text(f"{thing}[{n}]", delta, least=0) for n, delta in enumerate(text)]


def _cut(text: str) -> List[str]:
    return _TOKEN.findall(text)


def _text(thing: str, value: object, *, least: int = 1) -> str:
    if not isinstance(value, str) or len(value) < least:
        raise OptionError(thing, shown(value), "a str" if least == 0 else "a str, not empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise OptionError(thing, shown(value), "text without a lone surrogate") from None
    return value


def _calls(tool_calls: object) -> List[Tuple[str, str, Optional[str]]]:
    """Name, arguments and id of each call."""
    if not isinstance(tool_calls, (list, tuple)):
        raise OptionError("tool_calls", shown(tool_calls), 'a list like [{"name": "get_weather"}]')
    return [_call(f"tool_calls[{number}]", call) for number, call in enumerate(tool_calls)]


def _call(thing: str, call: object) -> Tuple[str, str, Optional[str]]:
    expected = 'a mapping like {"name": "get_weather", "arguments": {"city": "Paris"}}'
    if not isinstance(call, Mapping) or "name" not in call:
        raise OptionError(thing, shown(call), expected)
    for key in call:
        if key not in _KEYS_OF_A_CALL:
            raise OptionError(f"{thing} key", shown(key), f"one of {', '.join(_KEYS_OF_A_CALL)}")
    call_id = call.get("id")
    return (
        _text(f"{thing}['name']", call["name"]),
        _arguments(f"{thing}['arguments']", call.get("arguments", {})),
        None if call_id is None else _text(f"{thing}['id']", call_id),
    )


def _arguments(thing: str, arguments: object) -> str:
    """A str may be what a model should not have written; anything else becomes JSON."""
    if isinstance(arguments, str):
        return _text(thing, arguments, least=0)
    try:
        if isinstance(arguments, Mapping):
            text = compact(dict(arguments))
            text.encode()  # a lone surrogate is no JSON either
            return text
    except (TypeError, ValueError, RecursionError):
        pass
    raise OptionError(thing, shown(arguments), "a mapping that JSON can hold, or a str")

"""Reads the cassettes of vcrpy, in YAML or JSON, and the like of other VCRs.

YAML is read as plain data: no tag in a cassette makes an object, and text stays text, so that
nothing in the file can raise more than a syntax error.
"""

import base64
import re
from importlib import import_module
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from sse_middleware.errors import OptionError, RecordingError, printable, shown
from sse_middleware.testing import _recording_rules as rules
from sse_middleware.testing._strict_json import strict_json

__all__ = ["Interaction", "picked"]

_EXPECTED = "a cassette: an object with a list of interactions"
_NULL_TAG = "tag:yaml.org,2002:null"


class Interaction(NamedTuple):
    """One request and its response."""

    request: Dict[str, Any]
    uri: str
    status: int
    headers: List[Tuple[str, str]]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type, in lower case, without parameters."""
        found = [value for name, value in self.headers if name.lower() == "content-type"]
        return found[-1].partition(";")[0].strip().lower() if found else ""

    def __str__(self) -> str:
        method, path = self.request["method"], self.uri.partition("?")[0]  # a query may hold keys
        told = f"{method} {path} {self.status} {self.content_type or 'no content-type'}"
        return printable(told)


def picked(text: bytes, source: str, index: Optional[int]) -> Interaction:
    """The interaction at ``index``, or without one the only event stream there is.

    Raises:
        RecordingError: the cassette is damaged, or it does not say which one is meant.
        OptionError: there is no such index.
    """
    found = [
        _interaction(item, f"{source}: interaction {number}")
        for number, item in enumerate(_interactions(text, source))
    ]
    listed = "; ".join(f"{number}: {one}" for number, one in enumerate(found)) or "none"
    if index is not None:
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(found):
            raise OptionError("index", shown(index), f"one of {source}: {listed}")
        return found[index]
    streams = [one for one in found if one.content_type == "text/event-stream"]
    if len(streams) != 1:
        measured = f"a cassette of {len(streams)} event streams"
        raise RecordingError(source, measured, f"one, or index= with one of {listed}")
    return streams[0]


def _interactions(text: bytes, source: str) -> List[Any]:
    """Of a cassette of vcrpy, of vcrpy before 1.0 (a list), or of Ruby's VCR."""
    is_json = text.lstrip()[:1] == b"{"
    data = rules.decoded(text, source, _EXPECTED) if is_json else _yaml(text, source)
    if isinstance(data, dict):
        data = data.get("interactions", data.get("http_interactions"))
    if not isinstance(data, list):
        raise RecordingError(source, "something else", _EXPECTED)
    return data


def _yaml(text: bytes, source: str) -> Any:
    try:
        yaml: Any = import_module("yaml")
    except ImportError:
        expected = "PyYAML to read it with: pip install pyyaml"
        raise RecordingError(source, "YAML", expected) from None
    try:
        return yaml.load(text, Loader=_loader(yaml))
    except yaml.YAMLError as error:
        where = f"{source} line {_line_number(error, text)}"
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "damaged"
        raise RecordingError(where, f"not YAML ({problem})", _EXPECTED) from None
    except Exception as error:  # text that its parser gives up on, in one way or another
        raise RecordingError(source, f"not YAML ({error})", _EXPECTED) from None


def _line_number(error: Any, text: bytes) -> int:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    return 1 + text.count(b"\n", 0, getattr(error, "position", 0))


def _loader(yaml: Any) -> Any:
    """A class that makes only str, bytes, None, list and dict, whatever the tags say.

    It is not built on libyaml, which overflows the stack of C when brackets nest deep.
    """
    loader: Any = type("PlainLoader", (yaml.BaseLoader,), {})
    loader.add_implicit_resolver(_NULL_TAG, re.compile("~|null|Null|NULL|"), ["~", "n", "N", ""])
    loader.add_constructor(_NULL_TAG, lambda loader, node: None)

    def binary(loader: Any, node: Any) -> bytes:
        try:
            return _base64(loader.construct_scalar(node))
        except ValueError as error:
            mark = node.start_mark
            raise yaml.constructor.ConstructorError(None, None, str(error), mark) from None

    loader.add_constructor("tag:yaml.org,2002:binary", binary)
    loader.add_constructor("!binary", binary)
    return loader


def _base64(text: Any) -> bytes:
    """The bytes that are written as base64, perhaps over several lines."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise ValueError("not base64") from None


def _interaction(item: Any, source: str) -> Interaction:
    request, response = (_mapping(item, key, source) for key in ("request", "response"))
    headers = _headers(response.get("headers"), source)
    uri = str(request.get("uri") or request.get("url") or "")
    asked = {"method": str(request.get("method") or "GET").upper(), "path": _path(uri)}
    sent = _find_json(request)
    if sent is not None:
        asked["body"] = sent
    return Interaction(asked, uri, _status(response, source), headers, _body(response, source))


def _mapping(item: Any, key: str, source: str) -> Mapping[str, Any]:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, dict):
        raise RecordingError(f"{source}: {key}", shown(value), "an object")
    return value


def _path(uri: str) -> str:
    try:
        return urlsplit(uri).path or "/"
    except ValueError:  # brackets that are no IPv6 address
        return "/"


def _status(response: Mapping[str, Any], source: str) -> int:
    """The number of vcrpy's ``status: {code: 200}``; for httpx it wrote ``status_code: 200``."""
    status = response.get("status")
    code = status.get("code") if isinstance(status, dict) else response.get("status_code", status)
    if not re.fullmatch("[0-9]{3}", str(code)):
        raise RecordingError(f"{source}: status code", shown(code), "three digits")
    return int(str(code))


def _headers(value: Any, source: str) -> List[Tuple[str, str]]:
    """From names with a value or a list of values each, or from a list of both in pairs."""
    pairs = list(value.items()) if isinstance(value, dict) else value or []
    found = []
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise RecordingError(f"{source}: headers", shown(value), "names with their values")
        name, values = pair
        for text in values if isinstance(values, (list, tuple)) else [values]:
            text = text.decode("latin-1") if isinstance(text, bytes) else text
            found.append((str(name), str(text)))
    return found


def _body(response: Mapping[str, Any], source: str) -> bytes:
    """The response's body, which vcrpy wrote as ``content`` when it came through httpx."""
    try:
        found = _find_bytes(response.get("body", response.get("content")))
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{source}: body", f"damaged ({error})", "text or base64") from None
    return b"" if found is None else found


def _find_bytes(value: Any) -> Optional[bytes]:
    """A body in any of the forms that cassettes have; None where there is none."""
    if isinstance(value, dict):
        if value.get("base64_string") is not None:
            return _base64(str(value["base64_string"]))
        # A request that was sent from a file is a BytesIO with its state.
        state = value.get("state")
        return _find_bytes(state[0] if state and isinstance(state, list) else value.get("string"))
    if isinstance(value, str):
        return value.encode("utf-8")
    return value if isinstance(value, bytes) else None


def _find_json(request: Mapping[str, Any]) -> Any:
    """The JSON in the request's body; None where it is something else."""
    try:
        body = _find_bytes(request.get("body"))
        return None if body is None else strict_json(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None

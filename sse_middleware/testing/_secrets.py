"""Strings that are shaped like secrets, found in any bytes and masked without moving one.

A masked body is as long as it was, so that the chunks of a recording still fit. It must be masked
whole: a secret may be cut by the end of a chunk. What no pattern can see: a secret that a model
spells out over several events, and one that looks like any other word.

In the JSON of a stream a secret often follows an escape (``\\n``, ``\\u0022``, ``%3D``), whose last
character is a letter or digit: the start of each pattern allows for that.
"""

import re
from typing import Match, Tuple

from sse_middleware.errors import RecordingError

__all__ = ["masked"]

_START = rb"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
_MASK = b"*"
_MOST_WORK_BYTES = 1 << 24  # some seconds; two passes are usual
_NUMBER_MASK = b"1"  # JSON that was one stays one: it has no leading zeros, and no asterisks
_DIGIT = rb"(?=[A-Za-z_-]{0,60}[0-9*])"

#: Prefixes that issuers give their keys, and how the rest looks.
_ISSUED = (
    rb"sk-(?=[A-Za-z_-]{0,40}[0-9*]|[A-Za-z0-9_-]{20})[A-Za-z0-9_*-]{8,}",
    rb"(?:sk|rk|pk|whsec)_(?:(?:live|test)_)?[A-Za-z0-9*]{16,}",
    rb"AIza[A-Za-z0-9_*-]{20,}",
    rb"ya29\.[A-Za-z0-9._*-]{16,}",
    rb"gh[a-z]_[A-Za-z0-9*]{16,}",
    rb"github_pat_[A-Za-z0-9_*]{16,}",
    rb"glpat-[A-Za-z0-9_*-]{16,}",
    rb"xox[a-z]-[A-Za-z0-9*-]{8,}",
    rb"xapp-[A-Za-z0-9*-]{8,}",
    rb"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9*]{12,}",
    rb"(?:gsk|hf|r8|npm|fw|lsv2_pt|lsv2_sk|dop_v1|shpat|glsa|dckr_pat|pcsk|jina)_"
    + _DIGIT
    + rb"[A-Za-z0-9_*-]{20,}",
    rb"(?:xai|pplx|nvapi|csk|tvly|sess|pypi)-" + _DIGIT + rb"[A-Za-z0-9_*-]{20,}",
    rb"(?:org|proj)[-_]" + _DIGIT + rb"[A-Za-z0-9*]{16,}",
    rb"hvs\." + _DIGIT + rb"[A-Za-z0-9_*-]{20,}",
    rb"dapi[0-9a-f*]{32,}",
    rb"ABSK[A-Za-z0-9+/=*]{40,}",
    rb"[0-9*]{8,10}:AA[A-Za-z0-9_*-]{30,}",  # Telegram
    rb"SG\.[A-Za-z0-9_*-]{16,}\.[A-Za-z0-9_*-]{16,}",
)
_PREFIX = re.compile(
    rb"(?:sk-ant-|sk-proj-|sk-|github_pat_|AIza|AKIA|eyJ|xox[a-z]-|[A-Za-z0-9]{1,6}[-_.])"
)
_ISSUED_KEY = re.compile(_START + rb"(?:" + rb"|".join(_ISSUED) + rb")")
#: A JWT is a run of these with a dot in it; asked of a pattern alone, that takes the time squared.
_RUN = re.compile(rb"[A-Za-z0-9_*.-]{20,}")
_JWT = re.compile(_START + rb"eyJ(?=[A-Za-z0-9_*-]{8})")
_JWT_PART = re.compile(rb"\.[A-Za-z0-9_*-]{8}")

_VALUE = rb"(?:\\/|%[0-9A-Fa-f]{2}|[A-Za-z0-9+/=_.~*-])"
#: With a digit, a joint or a length that the words of a text about bearers do not have.
_SCHEME = re.compile(
    rb"(" + _START + rb"(?:bearer(?:\s|%20|\+){1,3}(?=[A-Za-z+/=_.~-]{0,200}[0-9*]"
    rb"|[A-Za-z]{1,60}[-_+/=][A-Za-z]|[A-Za-z]{20})"
    rb"|basic(?:\s|%20|\+){1,3}(?=[A-Za-z+/]{0,200}[0-9=*])))(" + _VALUE + rb"{8,})",
    re.IGNORECASE,
)
_NAME = (
    rb"(?:[a-z0-9]{1,20}[-_]){0,4}(?:api[-_ ]?key|apikey|secret(?:[-_ ]?(?:access[-_ ]?)?key)?"
    rb"|(?:access|auth|refresh|session|security|id)[-_ ]?token|authorization|(?:pg)?passw(?:or)?d"
    rb"|(?:account|(?:shared[-_ ]?)?access)[-_ ]?key|private[-_ ]?key|client[-_ ]?secret"
    rb"|credentials?|cookie)"
)
#: ``"password": "..."``, also inside a string of JSON: the whole value, whatever it is.
_QUOTED = re.compile(
    rb'((\\{0,3})"' + _NAME + rb'\2"\s{0,9}:\s{0,9}\2")((?:(?!\2")(?:\\.|[^"\\\r\n]))+)',
    re.IGNORECASE,
)
#: ``api_key=...`` and ``key=...`` in a query, a file of settings, a line of a shell.
_ASSIGNED = re.compile(
    rb"(" + _START + rb"(?:" + _NAME + rb"(?:\\{0,3}[\"'])?\s{0,9}(?:=|:)\s{0,9}"
    rb"|(?:[a-z0-9]{1,20}[-_]){0,4}(?:key|token|sig|signature|credential)=)(?:\\{0,3}[\"'])?)"
    rb"(?=[A-Za-z+/=_.~-]{0,200}[0-9*]|" + _VALUE + rb"{32})(" + _VALUE + rb"{8,})",
    re.IGNORECASE,
)
_JSON_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[Ee][+-]?[0-9]+)?")
_JSON_NAME_END = re.compile(rb"\"\s{0,9}:\s{0,9}\Z")
#: The password; without one the name, which is a key then.
_USERINFO = re.compile(
    rb"(:(?:\\{0,3}/){2}(?:[^\s:@/\"'\\]{0,200}:)?)([^\s:@/\"'\\][^\s@/\"'\\]{0,199})(?=@)"
)
#: The path of it is all that a webhook asks for.
_WEBHOOK = re.compile(
    rb"((?:hooks\.slack|discord(?:app)?)\.com(?:\\{0,3}/[a-z]{1,20}){1,3}\\{0,3}/)"
    rb"((?:\\/|[A-Za-z0-9/_*-]){20,})"
)
_PERSON = re.compile(
    rb'("(?:user|safety_identifier|prompt_cache_key|organization)"\s{0,9}:\s{0,9}")'
    rb'((?:\\.|[^"\\\r\n])+)'
)
_PEM = re.compile(rb"(-----BEGIN [A-Z0-9 ]{1,60}-----)((?:[^\"-]+|-(?!----END))*)")
#: What in a PEM block is not its text: the line ends of JSON, and the field name of an event.
_PEM_TEXT = re.compile(
    rb"(?P<kept>\\(?:[nrt\\]|u[0-9A-Fa-f]{4})|^data: ?)|\\/|[A-Za-z0-9+/=*]+", re.MULTILINE
)


def masked(body: bytes) -> bytes:
    """``body``, as long as it was, with ``*`` in place of what is shaped like a secret.

    A number of JSON becomes one of as many ``1``.

    Raises:
        RecordingError: it was made to take for ever.

    >>> masked(b'data: {"text": "My key is sk-proj-1234567890abcdef."}')
    b'data: {"text": "My key is sk-proj-****************."}'
    """
    once, work_bytes = _masked_once(body), 0
    while once != body:  # a mask may make a secret of what stands before it: nvapi-sk-****
        work_bytes += len(body)
        if work_bytes > _MOST_WORK_BYTES + 8 * len(body):
            told = "a chain of what may be secrets, too long to be masked"
            raise RecordingError("text", told, "one without")
        body, once = once, _masked_once(once)
    return once


def _masked_once(body: bytes) -> bytes:
    body = _PEM.sub(_pem_masked, body)
    body = _ISSUED_KEY.sub(_key_masked, body)
    body = _RUN.sub(_jwt_masked, body)
    for pattern in (_QUOTED, _SCHEME, _ASSIGNED, _USERINFO, _WEBHOOK, _PERSON):
        body = pattern.sub(_value_masked, body)
    return body


def _key_masked(found: "Match[bytes]") -> bytes:
    key = found.group()
    prefix = _PREFIX.match(key)
    kept = prefix.end() if prefix else 0
    return key[:kept] + _MASK * (len(key) - kept)


def _jwt_masked(run: "Match[bytes]") -> bytes:
    at, end = run.span()
    while True:
        start = _JWT.search(run.string, at, end)
        at = end if start is None else run.string.find(b".", start.end(), end)
        if start is None or at < 0:
            return run.group()
        if _JWT_PART.match(run.string, at, end):
            kept = start.end() - run.start()
            return run.group()[:kept] + _MASK * (len(run.group()) - kept)


def _value_masked(found: "Match[bytes]") -> bytes:
    name, value = _name_and_value(found)
    is_number = _JSON_NUMBER.fullmatch(value) and _JSON_NAME_END.search(name)
    return name + (_NUMBER_MASK if is_number else _MASK) * len(value)


def _name_and_value(found: "Match[bytes]") -> Tuple[bytes, bytes]:
    value = found.group(found.lastindex or 0)
    return found.group()[: -len(value)], value


def _pem_masked(found: "Match[bytes]") -> bytes:
    return found.group(1) + _PEM_TEXT.sub(_pem_text_masked, found.group(2))


def _pem_text_masked(found: "Match[bytes]") -> bytes:
    text = found.group()
    return text if found["kept"] else _MASK * len(text)

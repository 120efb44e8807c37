"""`check_framing` on any bytes: it never raises, and tells of what the reference sees dropped."""

from material import bodies, cut, streams
from reference import NAMES, blocks_of, field_of, lines_of

from sse_middleware.testing import check_framing


def seeds():
    """One byte for the cuts, then the stream."""
    return [b"\1" + stream for stream in [*streams(), *bodies()]]


def check(data):
    """The same problems however it is cut, those of the standard where the standard has them."""
    seed, stream = data[:1], data[1:]
    pieces = cut(stream, seed)
    for profile in ("whatwg", "openai"):
        problems = check_framing(stream, profile)
        assert check_framing(iter(pieces), profile) == problems
        assert all(str(problem).replace("\n", "").isprintable() for problem in problems)
        if profile == "whatwg":
            codes = [problem.code for problem in problems]
            assert agreed(codes) == expected(stream)


def agreed(codes):
    """Of each rule that says what is lost, how often it was broken."""
    return {code: codes.count(code) for code in ("SSE104", "SSE105", "SSE106", "SSE107", "SSE110")}


def expected(stream):
    """The same, as the reference reads."""
    ended, cut_off = blocks_of(stream)
    fields = [field_of(line) for line in lines_of(stream)[0] if line and line[0] != ":"]
    return {
        "SSE104": sum(name not in NAMES for name, _ in fields),
        "SSE105": int(bool(cut_off.fields)),
        "SSE106": sum(map(has_lost_name, ended)),
        "SSE107": sum(name == "id" and "\0" in value for name, value in fields),
        "SSE110": sum(name == "retry" and not is_number(value) for name, value in fields),
    }


def has_lost_name(block):
    """Whether a block names an event that is never dispatched, with nothing that tells why."""
    name = (block.values("event") or [""])[-1]
    return bool(name) and not block.values("data") and not block.unknown


def is_number(value):
    """ASCII digits alone."""
    return value.isascii() and value.isdigit()

"""How a reply looks in HTTP/1.1: the head, and each chunk of the body."""

from http import HTTPStatus

from sse_middleware.testing.exchange import Reply

__all__ = ["LAST_CHUNK", "chunk", "head", "status_line"]

#: The terminator of a chunked body.
LAST_CHUNK = b"0\r\n\r\n"


def status_line(status: int) -> str:
    """The status with its phrase, such as ``"200 OK"``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


def head(reply: Reply, *, is_chunked: bool = True) -> bytes:
    """From the status line to the blank line. It never says ``Connection: close``."""
    lines = [f"HTTP/1.1 {status_line(reply.recording.status)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers()]
    if is_chunked:
        lines.append("Transfer-Encoding: chunked")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """``data`` as one chunk, RFC 9112 7.1."""
    return b"%x\r\n%b\r\n" % (len(data), data)

"""Comments of a stream, which `EventParser` drops as a browser does; tests want to see them."""

from typing import List

__all__ = ["CommentReader"]

_BOM = b"\xef\xbb\xbf"


class CommentReader:
    """Reads the comments of one stream, however its bytes are cut.

    >>> reader = CommentReader()
    >>> reader.feed(b": on")
    []
    >>> reader.feed(b"e\\ndata: x\\n:\\n")
    ['one', '']
    """

    def __init__(self) -> None:
        self._open_line = bytearray()
        self._at_start = True

    def feed(self, data: bytes) -> List[str]:
        """The comments that ``data`` completes, each without its colon and the space after."""
        # The second line end that a CRLF becomes makes an empty line, which is no comment.
        text = data.replace(b"\r", b"\n")
        end = text.rfind(b"\n") + 1
        if not end:
            self._open_line += text
            return []
        lines = bytes(self._open_line + text[:end]).split(b"\n")
        self._open_line = bytearray(text[end:])
        if self._at_start:
            self._at_start = False
            lines[0] = lines[0][len(_BOM) :] if lines[0].startswith(_BOM) else lines[0]
        return [_comment(line) for line in lines if line.startswith(b":")]


def _comment(line: bytes) -> str:
    return line[2 if line.startswith(b": ") else 1 :].decode("utf-8", "replace")

"""``StreamCheck``: what is wrong with the bytes of one stream, while they come.

It reads as a browser does and reports what a browser loses or what the standard forbids; with the
profile ``openai`` also what breaks the SDKs of OpenAI. Linear in the input however it is cut, and
it holds one event at most.

Source: WHATWG HTML 9.2.5, 9.2.6.
"""

from typing import List, Optional, Tuple

from sse_middleware.testing._framing_ids import Ids
from sse_middleware.testing._framing_lines import Line, Lines
from sse_middleware.testing._framing_openai import Answer
from sse_middleware.testing._framing_problem import Problem, checked_profile
from sse_middleware.testing._visible import visible

__all__ = ["StreamCheck"]

_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data", b"event", b"id", b"retry")
_LIMIT_BYTES = 1 << 24  # as EventParser's


class _Block:
    """What has come since the last blank line. Values are None until their field comes."""

    def __init__(self) -> None:
        self.offset: Optional[int] = None
        self.first_line = b""
        self.data: List[bytes] = []
        self.event: Optional[bytes] = None
        self.id: Optional[bytes] = None
        self.retry: Optional[bytes] = None
        self.is_told = False  # of a fault that explains why data is missing
        self.is_too_large = False
        self.size_bytes = 0


class StreamCheck:
    r"""Takes the bytes of one stream, in any pieces.

    >>> check = StreamCheck("whatwg")
    >>> [problem.code for problem in check.feed(b"data: a\n\nData: b\n\ndata: c")]
    ['SSE104']
    >>> [problem.code for problem in check.finish()]
    ['SSE105']
    """

    def __init__(self, profile: str) -> None:
        self._answer = Answer() if checked_profile(profile) == "openai" else None
        self._lines = Lines(_LIMIT_BYTES)
        self._problems: List[Problem] = []
        self._block = _Block()
        self._event_number = 1
        self._ids = Ids()
        self._line_end: Optional[bytes] = None
        self._counted: Optional[Tuple[Line, int]] = None
        self._has_mixed_ends = False
        self._is_spaced: Optional[bool] = None
        self._has_lost_space = False

    def feed(self, data: bytes) -> List[Problem]:
        """The faults that ``data`` completes, in order."""
        for line, end in self._lines.feed(data):
            if line is not None:
                self._counted = (line, self._event_number) if self._counts(line) else None
                self._read(line)
            if end:
                self._judge_end(end)
        return self._taken()

    def finish(self) -> List[Problem]:
        """The faults that only the end of the stream shows. Call it once, last."""
        if self._lines.after_cr:
            self._judge_end(b"\r")
        line = self._without_bom(self._lines.rest())
        is_lost = bool(line.text) and not line.text.startswith(b":")
        block = self._block
        is_half = is_lost or block.offset is not None
        if is_half:
            offset = line.offset if block.offset is None else block.offset
            self._report("SSE105", offset, block.first_line or line.text)
        elif self._answer is not None and self._answer.misses_done:
            self._report("SSE204", line.offset, self._answer.last_data)
        return self._taken()

    def continues(self, data: bytes) -> bool:
        """Whether ``data`` goes on with an event, or a line end, that was left open."""
        if self._lines.after_cr:
            return data.startswith(b"\n") or self._block.offset is not None
        return self._lines.is_open or self._block.offset is not None

    def _taken(self) -> List[Problem]:
        problems, self._problems = self._problems, []
        return problems

    def _report(self, code: str, offset: int, seen: bytes, hint: str = "", start: int = 0) -> None:
        where = f"at byte {offset} (event {self._event_number})"
        self._problems.append(Problem(code, where, visible(seen, start), hint))

    def _counts(self, line: Line) -> bool:
        """Whether its end does: a middleware may add comments between the lines of others."""
        if not line.text:
            return self._block.offset is not None
        return not line.text.startswith(b":")

    def _judge_end(self, end: bytes) -> None:
        if self._counted is None:
            return
        line, event_number = self._counted
        self._line_end = self._line_end or end
        if end != self._line_end and not self._has_mixed_ends:
            self._has_mixed_ends = True
            where = f"at byte {line.offset} (event {event_number})"
            hint = f"end it in {visible(self._line_end)} too"
            self._problems.append(Problem("SSE103", where, visible(line.text[-40:] + end), hint))

    def _read(self, line: Line) -> None:
        line = self._without_bom(line)
        if not line.text:
            self._end_block(line)
            return
        self._judge_utf_8(line)
        if line.text.startswith(b":"):
            return
        block = self._block
        if block.offset is None:
            block.offset, block.first_line = line.offset, line.text[:400]
        block.size_bytes += len(line.text)
        if not block.is_too_large and (line.is_cut or block.size_bytes > _LIMIT_BYTES):
            block.is_too_large = block.is_told = True
            self._report("SSE113", block.offset, block.first_line)
        self._take_field(line)

    def _without_bom(self, line: Line) -> Line:
        if line.offset or not line.text.startswith(_BOM):
            return line
        self._report("SSE101", 0, line.text)
        return line._replace(offset=len(_BOM), text=line.text[len(_BOM) :])

    def _judge_utf_8(self, line: Line) -> None:
        try:
            line.text.decode("utf-8")
        except UnicodeDecodeError as error:
            if not line.is_cut:
                start = error.start
                self._report("SSE102", line.offset + start, line.text, start=start)

    def _take_field(self, line: Line) -> None:
        name, colon, value = line.text.partition(b":")
        if name not in _FIELDS:
            self._block.is_told = True
            self._report("SSE104", line.offset, line.text, _hint(name, bool(colon)))
            return
        if name == b"data":
            self._judge_space(line, value)
        value = value[1:] if value.startswith(b" ") else value
        getattr(self, f"_take_{name.decode()}")(line, value)

    def _take_data(self, line: Line, value: bytes) -> None:
        self._block.data.append(b"" if self._block.is_too_large else value)

    def _take_event(self, line: Line, value: bytes) -> None:
        self._judge_twice(line, self._block.event)
        self._block.event = value

    def _take_id(self, line: Line, value: bytes) -> None:
        self._judge_twice(line, self._block.id)
        if b"\0" in value:
            self._report("SSE107", line.offset, line.text)
        else:
            self._block.id = value

    def _take_retry(self, line: Line, value: bytes) -> None:
        if value.isdigit():
            self._block.retry = value
        else:
            self._report("SSE110", line.offset, line.text)

    def _judge_twice(self, line: Line, earlier: Optional[bytes]) -> None:
        if earlier is not None:
            self._report("SSE111", line.offset, line.text)

    def _judge_space(self, line: Line, value: bytes) -> None:
        """Around JSON a space means nothing, so only texts tell how a sender writes them."""
        text = value.lstrip(b" ")
        if not text or text[:1] in (b"{", b"[", b'"') or self._has_lost_space:
            return
        is_spaced = value.startswith(b" ")
        if self._is_spaced not in (None, is_spaced):
            self._has_lost_space = True
            self._report("SSE112", line.offset, line.text)
        self._is_spaced = is_spaced

    def _end_block(self, line: Line) -> None:
        block, self._block = self._block, _Block()
        offset = line.offset if block.offset is None else block.offset
        if block.data:
            self._judge_event(block, offset)
        elif not block.is_told:
            self._judge_bare(block, offset)
        if self._answer is not None:
            self._answer.keep(block.id)
        if block.offset is not None:
            self._event_number += 1

    def _judge_event(self, block: _Block, offset: int) -> None:
        if block.id is not None:
            code = self._ids.find_fault(block.id)
            if code:
                self._report(code, offset, b"id: " + block.id)
        if self._answer is not None and not block.is_too_large:
            data = b"\n".join(block.data)
            code = self._answer.find_fault(data, block.event)
            if code:
                self._report(code, offset, b"data: " + data)

    def _judge_bare(self, block: _Block, offset: int) -> None:
        """A block that dispatches nothing."""
        if block.event:
            self._report("SSE106", offset, b"event: " + block.event)
        elif self._answer is not None:
            code = self._answer.find_bare_fault(block.id, block.retry)
            if code:
                self._report(code, offset, block.first_line or b"\n")


def _hint(name: bytes, has_colon: bool) -> str:
    """What was most likely meant by a field of that name."""
    plain = name.strip().lower().lstrip(_BOM)
    if plain in _FIELDS and has_colon:
        return f"write '{plain.decode()}', in lower case and with nothing before or after it"
    if not has_colon:
        return "a line break in a text begins a new line: send each line with its own 'data: '"
    return ""

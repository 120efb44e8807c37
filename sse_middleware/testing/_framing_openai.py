"""``Answer``: what an SDK of OpenAI trips over, event for event.

Measured with openai 0.28 to 3.54 and openai-node 6.49: each reads all data as JSON up to [DONE];
openai-python takes every block with a field for an event, and never forgets an id.
"""

from typing import Any, Optional

from sse_middleware.testing._strict_json import strict_json

__all__ = ["Answer"]

_DONE = b"[DONE]"


class Answer:
    """One stream of an API like OpenAI's. ``last_data`` is that of the event before."""

    def __init__(self) -> None:
        self.last_data = b""
        self._has_data = False
        self._has_chunks = False
        self._has_names = False
        self._has_failed = False
        self._is_done = False
        self._has_id = False

    def keep(self, id: Optional[bytes]) -> None:
        """The id of a block that has ended, if it had one."""
        if id is not None:
            self._has_id = bool(id)

    def find_fault(self, data: bytes, event: Optional[bytes]) -> Optional[str]:
        """The code of the rule that this event breaks; None if it breaks none."""
        is_done = data.strip() == _DONE
        if self._is_done:
            return "SSE205" if is_done else "SSE206"
        self.last_data = data[:400]
        self._has_data = True
        self._has_names = self._has_names or bool(event)
        if is_done:
            self._is_done = True
            return None
        try:
            self._look_at(strict_json(data.decode("utf-8", "replace")))
        except (ValueError, RecursionError):
            self._has_failed = event == b"error"
            return "SSE207"
        self._has_failed = self._has_failed or event == b"error"
        return None

    def find_bare_fault(self, id: Optional[bytes], retry: Optional[bytes]) -> Optional[str]:
        """The code of the rule that a block without data and name breaks; None if none."""
        if self._is_done:
            return None
        if id:
            return "SSE201"
        if retry is not None:
            return "SSE202"
        return "SSE203" if self._has_id and id is None else None

    @property
    def misses_done(self) -> bool:
        """Whether a stream of this kind, ending here, should have ended in [DONE]."""
        if self._is_done or self._has_failed or not self._has_data:
            return False
        return self._has_chunks or not self._has_names

    def _look_at(self, chunk: Any) -> None:
        self._has_failed = False
        if isinstance(chunk, dict):
            self._has_failed = bool(chunk.get("error"))
            self._has_chunks = self._has_chunks or "choices" in chunk
            self._has_names = self._has_names or str(chunk.get("type")).startswith("response.")

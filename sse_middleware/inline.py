"""A stream that runs in the thread of the server: each frame is made when the server asks."""

from sse_middleware.current import CurrentStream, showing
from sse_middleware.registry import Registry
from sse_middleware.serving import Pace
from sse_middleware.stream import EventStream

__all__ = ["Inline"]


class Inline:
    """What the server iterates; ``current_stream()`` is this request's while the app runs."""

    def __init__(
        self, frames: EventStream, stream: CurrentStream, pace: Pace, registry: Registry
    ) -> None:
        self._frames = frames
        self._stream = stream
        self._clock = pace.clock
        self._registry = registry
        self._expires_at = pace.expiry()
        self._is_over = False
        self._is_running = False
        self._is_closing = False
        registry.opened(self, stream)

    def __iter__(self) -> "Inline":
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        self._is_running = True
        try:
            self._end_in_time()
            with showing(self._stream):
                frame = next(self._frames)
        except StopIteration:
            self._finish("error" if self._stream.failed else "end")
            raise
        except BaseException:
            self._finish("error")
            raise
        finally:
            self._is_running = False
            if self._is_closing:
                self.close()
        self._stream.frames_sent += 1
        self._stream.bytes_sent += len(frame)
        return frame

    def close(self) -> None:
        """The server is done: the app's iterable is closed, after whoever waits for it is told.

        While it runs, in another thread than this, it is closed when it has run.
        """
        self._is_closing = True
        if self._is_running:
            return
        with showing(self._stream):
            if not self._is_over and not self._frames.ended and not self._stream.ended:
                self._stream.disconnect()
                self._finish("disconnect")
            self._finish("error" if self._stream.failed else "end")
            self._frames.close()

    def wake(self) -> None:
        """Nothing to wake: the server's thread is in the app, or looks by itself."""

    def _end_in_time(self) -> None:
        if self._frames.half_sent or self._frames.ended or not self._stream.frames_sent:
            return
        if self._registry.is_draining:
            self._leave("drain")
        elif self._expires_at is not None and self._clock.monotonic() >= self._expires_at:
            self._leave("max_age")

    def _leave(self, reason: str) -> None:
        self._finish(reason)
        with showing(self._stream):
            self._stream.disconnect()
        raise StopIteration

    def _finish(self, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._registry.closed(self, self._stream, reason)

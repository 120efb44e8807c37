"""``Evidence``: all that was seen of one address, before anybody says what it means."""

from dataclasses import dataclass, field
from typing import List, Optional

from sse_middleware.doctor.again import UNASKED, Again
from sse_middleware.doctor.arrival import Verdict
from sse_middleware.doctor.layers import compressors_of, layers_of, likely_layers
from sse_middleware.doctor.probe import Heard
from sse_middleware.doctor.stream import Stream
from sse_middleware.headers import is_encoded, is_event_stream

__all__ = ["Evidence"]


@dataclass
class Evidence:
    """What was asked and heard.

    ``redirects`` are the addresses before the last one, ``head`` is what HEAD was answered where
    the request itself was not.
    """

    heard: Heard
    stream: Stream
    verdict: Verdict
    timeout_s: float
    again: Again = UNASKED
    redirects: List[str] = field(default_factory=list)
    head: Optional[Heard] = None

    @property
    def is_stream(self) -> bool:
        """Whether an EventSource would read it."""
        return self.heard.status == 200 and is_event_stream(self.heard.headers)

    @property
    def is_encoded(self) -> bool:
        """Whether it is compressed."""
        return is_encoded(self.heard.headers)

    @property
    def layers(self) -> List[str]:
        """Who stands between the app and us, as far as that shows; the outermost first."""
        heard = self.head or self.heard
        return likely_layers(heard) + layers_of(heard)

    @property
    def compressors(self) -> List[str]:
        """Who is known to have compressed it."""
        return compressors_of(self.heard, self.layers) if self.is_encoded else []

    @property
    def longest_silence_s(self) -> float:
        """The longest wait between events, comments and the end, also the one before the first."""
        times = [0.0, *(block.at_s for block in self.stream.blocks), self.heard.ended_at_s]
        return max(two - one for one, two in zip(times, times[1:]))

    @property
    def beat_s(self) -> Optional[float]:
        """The shortest wait before a comment that came in a silence; None where none came."""
        blocks = self.stream.blocks
        times = [0.0, *(block.at_s for block in blocks)]
        waits = [at - before for before, at in zip(times, times[1:])]
        found = [wait for wait, block in zip(waits, blocks) if block.event is None and wait > 0.05]
        return min(found) if found else None

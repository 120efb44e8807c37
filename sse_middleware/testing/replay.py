"""``Replay``: a folder of recordings, each played to the requests that it was recorded for."""

import os
import threading
from itertools import groupby
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Union

from sse_middleware.errors import RecordingError
from sse_middleware.testing import _redact as redact
from sse_middleware.testing.exchange import ReceivedRequest, Reply
from sse_middleware.testing.recording import Recording
from sse_middleware.testing.upstream import FakeUpstream

__all__ = ["MATCHED_KEYS", "Replay"]

#: What of the JSON body of a request must equal that of a recording, as far as it was recorded.
MATCHED_KEYS = ("model", "messages", "input", "prompt", "contents", "system", "stream")


class Replay:
    """Answers requests from a folder; a fake upstream plays, each recording any number of times.

    A recording whose ``request`` is known answers requests of that method and path, with those
    fields of `MATCHED_KEYS` that it has; of the path it takes an end as well, so that
    ``/chat/completions`` will do for ``/v1/chat/completions``. The other recordings answer every
    POST that none of these does. Where several fit they take turns, in the order of their names.

    Args:
        folder: where the ``.sse`` files are.
        speed: how many times faster than recorded; None leaves out the delays.

    Raises:
        RecordingError: there is no recording, or a damaged one.
    """

    def __init__(
        self, folder: Union[str, "os.PathLike[str]"], *, speed: Optional[float] = 1.0
    ) -> None:
        paths = sorted(Path(folder).glob("*.sse"))
        if not paths:
            raise RecordingError(f"folder {folder}", "without a recording", "files named *.sse")
        #: In the order of their names.
        self.recordings: List[Recording] = [Recording.load(path) for path in paths]
        self._lock = threading.Lock()
        self._upstream = FakeUpstream()

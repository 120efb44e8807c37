"""What the fake upstream says of a request without an answer, and of scripts without a request."""

import json
from typing import List, Sequence

from sse_middleware.testing._script import Told
from sse_middleware.testing.recording import Recording

__all__ = ["TO_ALLOW_REQUESTS", "TO_ALLOW_SCRIPTS", "TO_ANSWER", "not_found", "section", "told"]

TO_ANSWER = "to answer it: upstream.play(recording), times=N for more, times=None for any number"
_TO_ALLOW = "to allow them: %s=False, in @pytest.mark.fake_upstream(...) or verify(...)"
TO_ALLOW_REQUESTS = _TO_ALLOW % "assert_all_requests_were_expected"
TO_ALLOW_SCRIPTS = _TO_ALLOW % "assert_all_responses_were_requested"


def not_found(unmatched: Told) -> Recording:
    """The 404 for a request that no script answers: an error object that says why."""
    text = "; ".join([*unmatched.reasons, TO_ANSWER])
    error = {
        "message": f"no recording answers {unmatched.request}: {text}",
        "type": "invalid_request_error",
        "param": None,
        "code": "no_recording",
    }
    body = json.dumps({"error": error}).encode("ascii")
    return Recording(body, status=404, headers={"content-type": "application/json"})


def section(heading: str, entries: Sequence[str]) -> List[str]:
    """The lines that tell of ``entries``; none, if there are none."""
    return [f"{heading}:", *(f"  {entry}" for entry in entries)] if entries else []


def told(requests: Sequence[Told]) -> List[str]:
    """A line for each request, and one for each reason below it."""
    lines = []
    for request, why in requests:
        lines += [str(request), *(f"  {reason}" for reason in why)]
    return lines

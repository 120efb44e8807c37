"""The faults whose outcomes are measured, on which stream, and for how long each client waits."""

from asking import DEADLINE_S, Job
from streams import ANTHROPIC, RESPONSES
from table import CLEAN_END, Row

from sse_middleware.errors import OptionError
from sse_middleware.testing import FakeUpstream, Recording, faults
from sse_middleware.testing._vendor_errors import FORMS

__all__ = ["FAULTS", "measure", "stream"]

#: Of an error's text the table holds this much.
_LONGEST = 100
#: In the middle of an event, of each of the streams.
_INSIDE_BYTES = 400
#: How long a client waits for an upstream that is silent for good.
_SHORT_S = 0.4

#: Those that are played, in the order of the document.
FAULTS = [
    faults.http_error(400),
    faults.http_error(401),
    faults.http_error(429, retry_after=1),
    faults.http_error(500),
    faults.http_error(503),
    faults.slow_first_token(30),
    faults.stall(after_events=2),
    faults.cut(after_events=2),
    faults.cut(after_bytes=_INSIDE_BYTES),
    faults.cut(after_events=2, reset=True),
    faults.early_end(after_events=2),
    faults.early_end(after_bytes=_INSIDE_BYTES),
    faults.without_done(),
    faults.duplicate_done(),
    faults.truncated_json(),
    faults.invalid_utf8(),
    *(faults.error_object(form) for form in FORMS),
    faults.error_event(),
    faults.bom(),
    faults.id_only(),
    faults.retry_only(),
    faults.event_only(),
    faults.content_type(),
    faults.json_body(),
]


def measure(client):
    """The `Row` of each fault that this client can meet, and first one without a fault."""
    upstream = FakeUpstream()
    jobs, played = [], []
    for number, fault in enumerate([None, *FAULTS]):
        api, recording = stream(client, fault)
        try:
            upstream.play(recording, when={"path": f"/v1/{number}/*"}, fault=fault)
        except OptionError:  # Anthropic's streams have no [DONE]
            continue
        jobs.append((api, number, _SHORT_S if _is_silent(fault) else DEADLINE_S))
        played.append(fault)
    with upstream.serve() as base_url:
        outcomes = client.ask([Job(api, f"{base_url}/{path}", wait) for api, path, wait in jobs])
    upstream.verify()
    return [_row(client, fault, outcome) for fault, outcome in zip(played, outcomes)]


def _row(client, fault, outcome):
    text = "none" if fault is None else repr(fault)[len("faults.") :]
    error = outcome.error or CLEAN_END
    ended = error if len(error) <= _LONGEST else error[:_LONGEST] + "..."
    return Row(client.name, text, str(outcome.count), ended)


def stream(client, fault=None):
    """The API and the recording: Chat Completions, where the client knows no other."""
    if client.apis == {"anthropic.messages"}:
        return "anthropic.messages", ANTHROPIC
    is_responses = repr(fault).startswith("faults.error_object('responses")
    if is_responses and "responses" in client.apis and "other" not in client.apis:
        return "responses", RESPONSES
    return "chat.completions", Recording.named("chat-text")


def _is_silent(fault):
    return repr(fault).startswith(("faults.slow_first_token", "faults.stall"))

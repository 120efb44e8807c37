"""What each client makes of each fault is what the table says; who asks again, and when."""

import pytest
from asking import Job
from faulty import measure, stream
from table import read

from sse_middleware.testing import FakeUpstream, faults

#: They ask again by themselves, and count in a header.
RETRYING = ("openai 1", "openai 2", "openai 3", "anthropic 2", "openai-node")


def test_the_table_says_what_this_client_makes_of_each_fault(client, measured):
    rows = measure(client)
    measured.extend(rows)
    assert rows == [row for row in read() if row.client == client.name]


def journal(client, **script):
    """The upstream, after one call of a client that may ask again."""
    upstream = FakeUpstream()
    api, recording = stream(client)
    upstream.play(recording, **script)
    with upstream.serve() as base_url:
        client.ask([Job(api, base_url, retries=True)])
    return upstream


def asks_again(client):
    return client.name.replace(" async", "") in RETRYING


def counts(upstream):
    return [request.headers.get("x-stainless-retry-count") for request in upstream.requests]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_retries_meet_an_http_error_again_and_the_journal_has_them(client, status):
    upstream = journal(client, fault=faults.http_error(status, retry_after=0.01))
    upstream.verify()
    assert counts(upstream) == (["0", "1", "2"] if asks_again(client) else [None])


def test_nobody_asks_again_once_a_stream_has_begun(client):
    upstream = journal(client, fault=faults.cut())
    upstream.verify()
    assert len(upstream.requests) == 1


def test_an_http_error_with_a_number_tells_of_the_retries_that_it_left_over(client):
    if not asks_again(client):
        pytest.skip(f"{client.name} does not ask again")
    upstream = journal(client, fault=faults.http_error(500, retry_after=0.01), times=1)
    assert counts(upstream) == ["0", "1"]  # the 404 of the second ends it
    with pytest.raises(AssertionError) as caught:
        upstream.verify()
    hint = "the SDK asks again (retry 1): max_retries=0 on its client turns that off"
    assert hint in str(caught.value)

"""Answers of HTTP servers, as h11 reads them."""

import re

import h11

#: Where `http.client` reads something else: a coding with blanks behind it or on a line of its own,
#: a length that is said twice, a control character that it takes for a blank of the status line.
_READ_OTHERWISE = re.compile(
    rb"^transfer-encoding:[^\n]*([ \t\x0b\x0c]\r?\n|\n[ \t])"
    rb"|^content-length:[^\n]*(,|\n[ \t])"
    rb"|^http/1[^\n]*[\x1c-\x1f\x85]",
    re.I | re.M,
)


def answer_of(data, method="GET"):
    """Status, chunks, and whether the body ended as it should; None where h11 refuses it.

    A missing line end behind the last chunk is forgiven, as `http.client` does.
    """
    if _READ_OTHERWISE.search(data):
        return None
    found = _read(data, method)
    if found and not found[2]:
        ended = _read(data + b"\r\n", method)
        return ended if ended and ended[1] == found[1] else found
    return found


def _read(data, method):
    judge = h11.Connection(h11.CLIENT)
    judge.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    judge.send(h11.EndOfMessage())
    judge.receive_data(data)
    judge.receive_data(b"")
    status, pieces = 0, []
    try:
        while True:
            event = judge.next_event()
            if isinstance(event, h11.Response):
                if not event.http_version.startswith(b"1."):
                    return None
                status = event.status_code
            elif isinstance(event, h11.Data):
                pieces += [b""] if event.chunk_start or not pieces else []
                pieces[-1] += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return status, pieces, True
            elif not isinstance(event, h11.InformationalResponse):
                return None
    except h11.RemoteProtocolError as error:
        is_cut = status and "peer closed" in str(error)
        return (status, pieces, False) if is_cut else None

"""`Recording.from_curl` and `from_cassette` on any file: an error of one line, or a recording."""

import gzip
import json

from material import assert_one_line, bodies

from sse_middleware.errors import OptionError, RecordingError
from sse_middleware.testing import Recording
from targets.recording import check_recording, folder

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nx-request-id: 7\r\n"
BODY = b"data: 1\r\n\r\ndata: \xc3\xa9\n\n"
CASSETTE = {
    "version": 1,
    "interactions": [
        {
            "request": {"method": "POST", "uri": "https://a/v1?k=s", "body": '{"model": "m"}'},
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"content-type": ["text/event-stream"]},
                "body": {"string": "data: 1\n\n"},
            },
        }
    ],
}
YAML = b"""interactions:
- request:
    body: '{"model": "m"}'
    headers: {a: [b]}
    method: POST
    uri: https://a/v1
  response: &again
    body:
      string: !!binary |
        ZGF0YTogMQoK
    headers:
      Content-Type:
      - text/event-stream
    status: {code: 200, message: OK}
- request: {method: GET, uri: 'http://[', body: {base64_string: e30=}}
  response: *again
"""


def seeds():
    """One byte for the kind: curl's dump, curl's two files, a cassette, a cassette's first."""
    dumps = [
        HEAD + b"\r\n" + BODY,
        b"HTTP/1.1 100 Continue\n\n" + HEAD.replace(b"\r", b"") + b" folded\n\n" + BODY,
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY, mtime=0),
        HEAD + b"Content-Encoding: deflate\r\n\r\n" + b"x\x9cKI,I",
        *(HEAD + b"\r\n" + body for body in bodies()[:5]),
    ]
    cassettes = [
        json.dumps(CASSETTE).encode(),
        json.dumps({"http_interactions": CASSETTE["interactions"]}).encode(),
        json.dumps(CASSETTE).replace('{"string": ', '{"state": [').replace('\\n"}', '\\n"]}'),
        YAML,
        YAML.replace(b"interactions:\n", b""),
        b"- request: {body: &b {state: [*b]}}\n  response: {body: *b, status: 200}\n",
        b"- request: {}\n  response: {body: {base64_string: !!binary AA==}, status: 200}\n",
    ]
    cassettes = [each.encode() if isinstance(each, str) else each for each in cassettes]
    return [kind + dump for kind in (b"d", b"h") for dump in dumps] + [
        kind + each for kind in (b"c", b"0") for each in cassettes
    ]


def check(data):
    """Nothing but the two errors, and what was imported can be kept."""
    kind, content = data[:1], data[1:]
    path = folder() / "imported"
    path.write_bytes(content)
    try:
        if kind == b"c":
            recording = Recording.from_cassette(path)
        elif kind == b"0":
            recording = Recording.from_cassette(path, index=0)
        elif kind == b"h":
            recording = Recording.from_curl(path, headers=path)
        else:
            recording = Recording.from_curl(path)
    except (RecordingError, OptionError) as error:
        assert_one_line(error)
        return
    check_recording(recording)

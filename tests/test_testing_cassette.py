"""sse_middleware.testing._cassette: cassettes become recordings."""

import base64
import gzip
import json
import subprocess
import sys
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware.errors import OptionError, RecordingError
from sse_middleware.testing import FakeUpstream, Recording
from sse_middleware.testing._cassette import picked

BODY = "data: caf\u00e9 \U0001f44b\r\n\r\ndata: \u2028x\n\n"
STREAM = {"content-type": ["text/event-stream; charset=utf-8"]}
CHAT = {"model": "gpt-4o-mini", "stream": True, "messages": [{"content": "\u00e9"}]}


def interaction(**response):
    """One as vcrpy has it, with these parts of the response."""
    return {
        "request": {
            "body": json.dumps(CHAT),
            "headers": {"authorization": ["Bearer sk-secret"], "cookie": ["session=1"]},
            "method": "POST",
            "uri": "https://api.example.test/v1/chat/completions?api-key=sk-secret",
        },
        "response": {
            "body": {"string": BODY},
            "headers": STREAM,
            "status": {"code": 200, "message": "OK"},
            **response,
        },
    }


def cassette(folder, *interactions, name="c.json"):
    text = json.dumps({"version": 1, "interactions": list(interactions)})
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def yaml_cassette(folder, text):
    pytest.importorskip("yaml")
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    return folder / "c.yaml"


@pytest.mark.parametrize("serializer", ["yaml", "json"])
@pytest.mark.parametrize(
    "played",
    [
        Recording.chat("Hello\r\n\n caf\u00e9 \U0001f44b", usage=True),
        Recording.response("Hello", tool_calls=[{"name": "f"}]),
        Recording(b": c\r\n\r\ndata: 1\r\n\r\n", headers={"content-type": "text/event-stream"}),
        Recording(b'{"error":{}}', status=429, headers={"content-type": "application/json"}),
    ],
    ids=["chat", "responses", "CRLF", "error"],
)
def test_what_vcrpy_recorded_comes_back(tmp_path, serializer, played):
    vcr = pytest.importorskip("vcr")
    urllib3 = pytest.importorskip("urllib3")
    upstream = FakeUpstream()
    upstream.play(played)
    path = tmp_path / f"chat.{serializer}"
    with upstream.serve() as base_url, vcr.use_cassette(str(path), serializer=serializer):
        url, body = base_url + "/chat/completions", json.dumps(CHAT)
        answer = urllib3.PoolManager().request("POST", url, body=body, retries=False)
        assert answer.data == played.body
    recording = Recording.from_cassette(path, index=0)
    assert recording.body == played.body
    assert recording.status == played.status
    assert recording.headers == played.headers
    assert recording.chunks == Recording(played.body).chunks
    assert recording.request == {"method": "POST", "path": "/v1/chat/completions", "body": CHAT}
    assert recording.name == "chat"


@pytest.mark.parametrize("serializer", ["yaml", "json"])
def test_what_vcrpy_recorded_of_httpx_comes_back(tmp_path, serializer):
    vcr = pytest.importorskip("vcr")
    httpx = pytest.importorskip("httpx")
    upstream = FakeUpstream()
    played = Recording.chat("Hello caf\u00e9")
    upstream.play(played)
    path = tmp_path / f"chat.{serializer}"
    with upstream.serve() as base_url, vcr.use_cassette(str(path), serializer=serializer):
        answer = httpx.post(base_url + "/chat/completions", json=CHAT, trust_env=False)
        assert answer.content == played.body
    recording = Recording.from_cassette(path)
    assert recording.body == played.body
    assert recording.request == {"method": "POST", "path": "/v1/chat/completions", "body": CHAT}


def test_a_body_that_vcrpy_stored_compressed_is_decoded(tmp_path):
    vcr = pytest.importorskip("vcr")
    packed = gzip.compress(BODY.encode())
    upstream = FakeUpstream()
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    upstream.play(Recording(packed, headers=headers))
    path = tmp_path / "chat.yaml"
    with upstream.serve() as base_url, vcr.use_cassette(str(path)):
        opener = build_opener(ProxyHandler({}))
        request = Request(base_url + "/chat/completions", data=b"{}", method="POST")
        assert opener.open(request, timeout=20).read() == packed
    assert b"!!binary" in path.read_bytes()
    recording = Recording.from_cassette(path)
    assert recording.body == BODY.encode()
    assert recording.headers == {"content-type": "text/event-stream"}
    assert recording.request == {"method": "POST", "path": "/v1/chat/completions", "body": {}}


PACKED = base64.b64encode(gzip.compress(BODY.encode())).decode()
GZIPPED = {**STREAM, "Content-Encoding": ["gzip"]}


@pytest.mark.parametrize(
    "response",
    [
        pytest.param({}, id="string"),
        pytest.param({"body": BODY}, id="a body that is the string"),
        pytest.param({"body": {"base64_string": PACKED}, "headers": GZIPPED}, id="base64"),
        pytest.param({"headers": GZIPPED}, id="gzip that vcrpy has undone"),
        pytest.param({"headers": {"Content-Type": "text/event-stream"}}, id="lone values"),
        pytest.param({"headers": [["Content-Type", "text/event-stream"]]}, id="pairs"),
        pytest.param({"status": 200}, id="a status that is a number"),
    ],
)
def test_each_shape_of_a_response_is_read(tmp_path, response):
    recording = Recording.from_cassette(cassette(tmp_path, interaction(**response)))
    assert recording.body == BODY.encode()
    assert recording.status == 200


def test_the_shape_that_vcrpy_once_wrote_for_httpx_is_read(tmp_path):
    one = interaction()
    one["response"] = {
        "content": BODY,
        "headers": [["content-type", "text/event-stream"]],
        "http_version": "HTTP/1.1",
        "status_code": 200,
    }
    assert Recording.from_cassette(cassette(tmp_path, one)).body == BODY.encode()


ASKED = base64.b64encode(json.dumps(CHAT).encode()).decode()
BY_HAND = f"""\
interactions:
- request:
    body: !!binary |
      {ASKED}
    headers: !!python/object/new:collections.OrderedDict
      authorization: [Bearer sk-secret]
    method: POST
    uri: https://api.example.test/v1/chat/completions
  response:
    body:
      string: !!binary |
        {base64.b64encode(BODY.encode()).decode()}
    headers:
      Content-Type:
      - text/event-stream
      Set-Cookie: [a=b]
      X-Request-Id:
      - req_1
    status: {{code: 200, message: OK}}
version: 1
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BY_HAND, id="vcrpy"),
        pytest.param(BY_HAND.replace("interactions", "http_interactions"), id="VCR of Ruby"),
        pytest.param(BY_HAND.replace("!!binary", "!binary"), id="binary of Ruby"),
        pytest.param(
            BY_HAND.replace("interactions:\n", "").replace("version: 1\n", ""), id="a list"
        ),
        pytest.param(
            BY_HAND.replace(
                "body: !!binary |\n", "body: !!python/object/new:_io.BytesIO\n"
            ).replace(
                "      " + base64.b64encode(json.dumps(CHAT).encode()).decode(),
                "      state: !!python/tuple\n      - !!binary "
                + base64.b64encode(json.dumps(CHAT).encode()).decode()
                + "\n      - 0\n      - null",
            ),
            id="a request from a file",
        ),
        pytest.param("\ufeff" + BY_HAND, id="a byte order mark"),
    ],
)
def test_each_shape_in_yaml_is_read(tmp_path, text):
    recording = Recording.from_cassette(yaml_cassette(tmp_path, text))
    assert recording.body == BODY.encode()
    assert recording.headers == {"Content-Type": "text/event-stream", "X-Request-Id": "req_1"}
    assert recording.request == {"method": "POST", "path": "/v1/chat/completions", "body": CHAT}


def test_no_tag_makes_an_object(tmp_path):
    text = BY_HAND.replace("method: POST", "method: !!python/object/apply:os.getcwd []")
    recording = Recording.from_cassette(yaml_cassette(tmp_path, text))
    assert recording.request["method"] == "GET"


@pytest.mark.parametrize("value", ["''", "null", "~", ""])
def test_an_empty_body_is_empty(tmp_path, value):
    text = BY_HAND.split("      string:")[0] + f"      string: {value}\n"
    text += "    headers: {content-type: [text/event-stream]}\n    status: {code: 200}\n"
    assert Recording.from_cassette(yaml_cassette(tmp_path, text)).body == b""


@pytest.mark.parametrize(
    "body", [None, "", "a=1&b=2", "[1", "\ud800", "9" * 5000, "[" * 100_000, "NaN", {"x": 1}]
)
def test_a_request_without_json_has_no_body(tmp_path, body):
    one = interaction()
    one["request"]["body"] = body
    if body == "9" * 5000 and sys.version_info < (3, 11):
        pytest.skip("this Python reads numbers of any length")
    recording = Recording.from_cassette(cassette(tmp_path, one))
    assert recording.request == {"method": "POST", "path": "/v1/chat/completions"}


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("https://a.test/v1/x?key=1#f", "/v1/x"),
        ("https://a.test", "/"),
        ("https://[a/v1", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_of_the_uri_the_path_alone_is_kept(tmp_path, uri, path):
    one = interaction()
    one["request"]["uri"] = uri
    assert Recording.from_cassette(cassette(tmp_path, one)).request["path"] == path


def test_no_secret_of_the_cassette_is_saved(tmp_path):
    headers = {**STREAM, "set-cookie": ["sk-secret"], "openai-organization": ["sk-secret"]}
    recording = Recording.from_cassette(cassette(tmp_path, interaction(headers=headers)))
    recording.save(tmp_path / "r.sse")
    assert b"secret" not in (tmp_path / "r.sse").read_bytes() + (tmp_path / "r.json").read_bytes()


OTHER = interaction(headers={"content-type": ["application/json"]}, status={"code": 404})


def test_the_only_event_stream_is_the_one(tmp_path):
    path = cassette(tmp_path, OTHER, interaction(), interaction(headers={}))
    assert Recording.from_cassette(path) == Recording.from_cassette(path, index=1)


LISTED = (
    "0: POST https://api.example.test/v1/chat/completions 404 application/json; "
    "1: POST https://api.example.test/v1/chat/completions 200 text/event-stream; "
    "2: POST https://api.example.test/v1/chat/completions 200 no content-type"
)


def test_of_several_event_streams_the_index_picks_one(tmp_path):
    path = cassette(tmp_path, interaction(), interaction(body={"string": "data: 2\n\n"}))
    assert Recording.from_cassette(path, index=1).body == b"data: 2\n\n"
    with pytest.raises(RecordingError) as caught:
        Recording.from_cassette(path)
    one = "POST https://api.example.test/v1/chat/completions 200 text/event-stream"
    assert str(caught.value) == (
        f"{path} is a cassette of 2 event streams: "
        f"expected one, or index= with one of 0: {one}; 1: {one}"
    )


def test_without_an_event_stream_the_interactions_are_listed(tmp_path):
    path = cassette(tmp_path, OTHER)
    with pytest.raises(RecordingError) as caught:
        Recording.from_cassette(path)
    assert str(caught.value) == (
        f"{path} is a cassette of 0 event streams: expected one, or index= with one of "
        "0: POST https://api.example.test/v1/chat/completions 404 application/json"
    )
    assert Recording.from_cassette(path, index=0).status == 404


def test_what_is_listed_is_one_line_that_a_terminal_only_shows(tmp_path):
    odd = interaction(headers={"Content-Type": "text/\x1b[2J\u2028x"})
    odd["request"].update(method="get\n", uri="https://a/\r\n1: GET https://b")
    with pytest.raises(RecordingError) as caught:
        Recording.from_cassette(cassette(tmp_path, odd))
    told = r"0: GET\n https://a/\r\n1: GET https://b 200 text/\x1b[2j\u2028x"
    assert str(caught.value).endswith(f"index= with one of {told}")


@pytest.mark.parametrize("index", [-1, 3, True, "1", 1.0])
def test_an_index_that_is_not_there_lists_those_that_are(tmp_path, index):
    path = cassette(tmp_path, OTHER, interaction(), interaction(headers={}))
    with pytest.raises(OptionError) as caught:
        Recording.from_cassette(path, index=index)
    assert str(caught.value) == f"index is {index!r}: expected one of {path}: {LISTED}"


A_CASSETTE = "expected a cassette: an object with a list of interactions"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.json", b'{\n"interactions": [', f" line 2 is not JSON (Expecting value): {A_CASSETTE}"),
        ("c.json", b"{}", f" is something else: {A_CASSETTE}"),
        ("c.json", b'{"interactions": {}}', f" is something else: {A_CASSETTE}"),
        (
            "c.json",
            b'{"interactions": [1]}',
            ": interaction 0: request is None: expected an object",
        ),
        (
            "c.json",
            b'{"interactions": []}',
            " is a cassette of 0 event streams: expected one, or index= with one of none",
        ),
        ("c.yaml", b"", f" is something else: {A_CASSETTE}"),
        ("c.yaml", b"data: 1\n\ndata: 2\n\n", f" is something else: {A_CASSETTE}"),
        (
            "c.yaml",
            b"interactions:\n- [\n",
            " line 3 is not YAML (expected the node content, but found '<stream end>'): "
            f"{A_CASSETTE}",
        ),
        ("c.yaml", b"a: b\nc: \xff", f" line 2 is not YAML (invalid start byte): {A_CASSETTE}"),
        (
            "c.yaml",
            b"a:\n- !!binary '?'\n",
            f" line 2 is not YAML (not base64): {A_CASSETTE}",
        ),
        ("c.yaml", b"[" * 100_000, " is not YAML (maximum recursion depth exceeded"),
        ("c.yaml", b'"\\UFFFFFFFF"', " is not YAML ("),
    ],
)
def test_a_damaged_cassette_is_told_in_one_line(tmp_path, name, content, message):
    if name == "c.yaml":
        pytest.importorskip("yaml")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        Recording.from_cassette(path)
    assert str(caught.value).startswith(str(path) + message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ({"status": {}}, ": interaction 0: status code is None: expected three digits"),
        ({"status": "OK"}, ": interaction 0: status code is 'OK': expected three digits"),
        (
            {"status": {"code": 304}},
            ": status is 304: expected an int of 200 to 599, not 204 or 304",
        ),
        ({"headers": [1]}, ": interaction 0: headers is [1]: expected names with their values"),
        ({"headers": "a"}, ": interaction 0: headers is 'a': expected names with their values"),
        (
            {"headers": {**STREAM, "retry-after": ["\u0100"]}},
            ": headers['retry-after'] is '\u0100': expected one line of latin-1 text",
        ),
        (
            {"body": {"base64_string": "?"}},
            ": interaction 0: body is damaged (not base64): expected text or base64",
        ),
        ({"body": {"string": "\ud800"}}, ": interaction 0: body is damaged ('utf-8' codec can't"),
    ],
)
def test_a_damaged_response_is_told_in_one_line(tmp_path, response, message):
    path = cassette(tmp_path, interaction(**response))
    with pytest.raises(RecordingError) as caught:
        Recording.from_cassette(path)
    assert str(caught.value).startswith(str(path) + message)


def test_a_body_that_nests_deep_is_told_in_one_line(tmp_path):
    text = json.dumps({"interactions": [interaction(body="BODY")]})
    nested = '{"state": [' * 1100 + '""' + "]}" * 1100
    (tmp_path / "c.json").write_text(text.replace('"BODY"', nested))
    with pytest.raises(RecordingError, match=r" is (damaged|not JSON) \(maximum recursion"):
        Recording.from_cassette(tmp_path / "c.json", index=0)


def test_without_pyyaml_one_line_names_what_to_install(tmp_path):
    (tmp_path / "c.yaml").write_text(BY_HAND, encoding="utf-8")
    code = (
        "import sys\n"
        "sys.modules['yaml'] = None\n"
        "from sse_middleware.testing import Recording\n"
        "try:\n"
        "    Recording.from_cassette(sys.argv[1])\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    got = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c.yaml")],
        check=True,
        stdout=subprocess.PIPE,
        timeout=60,
    ).stdout.decode()
    assert got.strip() == (
        f"RecordingError {tmp_path / 'c.yaml'} is YAML: "
        "expected PyYAML to read it with: pip install pyyaml"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
SYNTAX = (
    'interactions:|\n|- |  |request: |response: |{|}|[|]|!!binary |!!int |!<|&a |*a|? || |"|\\u|%'
)
PARTS = st.lists(
    st.binary(max_size=4) | st.sampled_from([part.encode() for part in SYNTAX.split("|")])
).map(b"".join)


def find_refusal(text):
    """What is said of a cassette with that text; None if it is read."""
    try:
        picked(text, "c", None)
    except RecordingError as error:
        return str(error)
    return None


def fed(text):
    refusal = find_refusal(text)
    assert refusal is None or refusal.startswith("c")


@given(PARTS)
def test_any_bytes_are_a_cassette_or_refused(text):
    pytest.importorskip("yaml")
    fed(text)


@given(JSON, JSON)
def test_any_json_in_a_cassette_is_read_or_refused(request_, response):
    one = {"request": request_, "response": response}
    fed(json.dumps({"interactions": [one]}).encode())


@given(st.sampled_from(["body", "headers", "status", "status_code", "content"]), JSON)
def test_any_json_in_a_response_is_read_or_refused(key, value):
    one = interaction(**{key: value})
    fed(json.dumps({"interactions": [one]}).encode())
    one["request"][key if key == "body" else "uri"] = value
    fed(json.dumps({"interactions": [one]}).encode())

"""sse_middleware.testing._secrets: what is masked, what is not, and that nothing moves.

No key here was ever one: each is put together, so that no scanner takes this file for a leak.
"""

import json
import re
import string
import time
from pathlib import Path

import pytest

from sse_middleware.errors import RecordingError
from sse_middleware.testing import Recording, _secrets
from sse_middleware.testing._secrets import masked

RAW = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
BASE64 = "aB3+/dE6gH9jK2mN5pQ8sT1vW4yZ7bC0fG3iL6oR"
REAL = sorted((Path(__file__).resolve().parents[2] / "shared" / "recordings").glob("*.sse"))
SHIPPED = sorted((Path(__file__).parents[1] / "fixtures" / "recordings").glob("*.sse"))

#: name: (what stands before the secret, the secret)
SECRETS = {
    "OpenAI, old": ("sk-", RAW[:48]),
    "OpenAI, project": ("sk-proj-", RAW[:40] + "_" + RAW[10:50] + "-x"),
    "OpenAI, service account": ("sk-", "svcacct-" + RAW[:40]),
    "OpenAI, admin": ("sk-", "admin-" + RAW[:40]),
    "OpenAI, as its errors show it": ("sk-proj-", "********************************Ab3d"),
    "OpenAI session": ("sess-", RAW[-40:]),
    "OpenAI organization": ("org-", RAW[:12] + "0123456789ab"),
    "OpenAI project id": ("proj_", RAW[:12] + "0123456789ab"),
    "Anthropic": ("sk-ant-", "api03-" + RAW[:60] + "-AA"),
    "OpenRouter": ("sk-", "or-v1-" + HEX * 4),
    "DeepSeek": ("sk-", HEX * 2),
    "Google": ("AIza", "Sy" + RAW[20:53]),
    "Google OAuth": ("ya29.", "a0" + RAW[:50]),
    "Groq": ("gsk_", RAW[-52:]),
    "xAI": ("xai-", RAW),
    "Perplexity": ("pplx-", HEX * 3),
    "Hugging Face": ("hf_", RAW[-34:]),
    "Replicate": ("r8_", RAW[-37:]),
    "Nvidia": ("nvapi-", RAW),
    "Cerebras": ("csk-", RAW[-40:]),
    "GitHub": ("ghp_", RAW[-36:]),
    "GitHub OAuth": ("gho_", RAW[-36:]),
    "GitHub app": ("ghs_", RAW[-36:]),
    "GitHub, fine-grained": ("github_pat_", RAW[:22] + "_" + RAW[:59]),
    "GitLab": ("glpat-", RAW[-20:]),
    "Slack bot": ("xoxb-", "1234567890-1234567890-" + RAW[:24]),
    "Slack user": ("xoxp-", "1234567890-" + RAW[:24]),
    "AWS": ("AKIA", "IOSFODNN7EXAMPLE"),
    "AWS, temporary": ("ASIA", "IOSFODNN7EXAMPLE"),
    "Stripe": ("sk_", "live_" + RAW[:24]),
    "JWT": ("eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1g"),
    "Bearer": ("Bearer ", RAW[:32]),
    "bearer in small letters": ("bearer ", "a1b2c3d4e5f6"),
    "Bearer with a joint": ("Bearer ", "my-secret-token"),
    "Basic": ("Basic ", "dXNlcjpwYXNzd29yZA=="),
    "api_key=": ("api_key=", HEX * 2),
    "api-key:": ("api-key: ", HEX * 2),
    "apikey = in quotes": ("apikey = '", BASE64),
    "key= in a query": ("?key=", HEX * 2),
    "sig= in a query": ("&sig=", "aB3%2BdE6gH9%3D"),
    "a setting": ("AZURE_OPENAI_API_KEY=", HEX * 2),
    "aws_secret_access_key": ("aws_secret_access_key = ", BASE64),
    "X-Amz-Signature": ("X-Amz-Signature=", HEX * 4),
    "Azure storage": ("AccountKey=", BASE64 + "=="),
    "Azure service bus": ("SharedAccessKey=", BASE64 + "="),
    "Postgres": ("PGPASSWORD=", "correct-h0rse"),
    "Slack webhook": ("https://hooks.slack.com/services/", "T0123456/B0123456/" + RAW[:24]),
    "Slack webhook whose slashes are escaped": (
        "https:\\/\\/hooks.slack.com\\/services\\/",
        "T0123456\\/B0123456\\/" + RAW[:24],
    ),
    "Discord webhook": ("https://discord.com/api/webhooks/", "012345678901234567/" + RAW),
    "Telegram": ("0123456789", ":AA" + RAW[:33]),
    "Databricks": ("dapi", HEX * 2),
    "Bedrock": ("ABSK", RAW + "+/=="),
    "Vault": ("hvs.", "CAESI" + RAW[-40:]),
    "Grafana": ("glsa_", RAW[:32] + "_0123abcd"),
    "Docker": ("dckr_" + "pat_", RAW[:10] + "-" + RAW[-17:]),
    "Pinecone": ("pcsk_", RAW[-40:] + "_" + RAW[-20:]),
    "a password in a URL": ("postgres://ada:", "hunter2"),
    "a password in a URL, without a name": ("redis://:", "hunter2"),
    "a key in a URL": ("https://", "a1b2c3d4e5f6"),
    "a password in a URL whose slashes are escaped": ("https:\\/\\/ada:", "hunter2"),
}
#: What stands before a secret in the text of a stream.
BEFORE = {
    "nothing": "",
    "a space": " ",
    "a quote of JSON": '"',
    "an escaped line end": "\\n",
    "an escaped tab": "\\t",
    "an escaped quote": '\\"',
    "an escape by number": "\\u000a",
    "a colon": ":",
    "an equals sign": "=",
    "a parenthesis": "(",
    "a percent escape": "%3D",
    "an underscore": "_",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize(("lead", "secret"), SECRETS.values(), ids=SECRETS)
def test_a_secret_is_masked_wherever_it_stands(lead, secret, before):
    after = "@host/db" if "/" in lead else '"}'
    text = f'data: {{"text": "{before}{lead}{secret}{after}\n\n'
    got = masked(text.encode()).decode()
    assert len(got) == len(text)
    assert secret not in got
    # Six characters in a row would be worth something to somebody.
    tail = secret[max(0, len(secret) - 12) :]
    assert tail not in got
    start, end = text.index(lead + secret), text.rindex(after)
    assert (got[:start], got[end:]) == (text[:start], text[end:])
    assert got[end - len(tail) : end] == "*" * len(tail)


QUOTED = {
    "a password": '{"password": "hunter2"}',
    "in small spaces": '{"api_key":"short"}',
    "with a dash": '{"x-api-key":"short"}',
    "of a header": '{"Authorization": "whatever it is"}',
    "in a string of JSON": '{"arguments": "{\\"password\\": \\"hunter2\\"}"}',
    "with an escape in it": '{"client_secret": "a\\"b\\\\c\\u00e9"}',
    "the user": '{"user":"ada@example.com"}',
    "the safety identifier": '{"safety_identifier": "ada"}',
}


@pytest.mark.parametrize("text", QUOTED.values(), ids=QUOTED)
def test_the_value_of_a_telling_key_is_masked_whatever_it_is(text):
    got = masked(text.encode()).decode()
    assert len(got) == len(text)
    assert "*" in got
    for private in ("hunter2", "short", "whatever", "ada", "b\\\\c", "u00e9"):
        assert private not in got
    json.loads(got)


PEM = {
    "in JSON": "\\n",
    "as lines": "\n",
    "as lines of events": "\ndata: ",
    "by number": "\\u000a",
}


@pytest.mark.parametrize("line_end", PEM.values(), ids=PEM)
@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "cut"])
def test_the_text_of_a_pem_block_is_masked_and_its_lines_stay(line_end, is_whole):
    key = line_end.join(["MIIEvQIBADANBgkqhki+", "G9w0BAQEFAASCBKcw\\/A=="])
    tail = f"{line_end}-----END RSA PRIVATE KEY-----" if is_whole else ""
    text = f'data: {{"k": "-----BEGIN RSA PRIVATE KEY-----{line_end}{key}{tail}"}}\n\n'
    got = masked(text.encode()).decode()
    hidden = line_end.join("*" * len(line) for line in key.split(line_end))
    assert got == text.replace(key, hidden)


UNTOUCHED = {
    "words with sk-": "task-force-management-of-the-desk-lamp risk-assessment-methodology",
    "scikit": "sk-learn sk-image",
    "words with bearer": "The bearer of bad news. Bearer authentication for bearer instruments.",
    "words with basic": "Basic understanding of basic step-by-step basic authentication",
    "a key that is a word": '{"key": "value", "keys": "some words", "key=": 1}',
    "tokens of logprobs": '{"token":" Hello","logprob":-0.1,"bytes":[72],"max_tokens": 4096}',
    "ids": '{"id":"chatcmpl-AbCdEf0123456789AbCdEf01","system_fingerprint":"fp_0123456789"}',
    "tool calls": '{"id":"call_AbCdEf0123456789AbCdEf01","type":"function"}',
    "a signature of a model": '{"signature":"EqQBCkgIAhABGAIiQL0123456789abcdefABCDEF=="}',
    "encrypted reasoning": '{"encrypted_content":"gAAAAABo0123456789abcdefABCDEF_-=="}',
    "obfuscation": '{"obfuscation":"aB3dE6gH9jK2mN5"}',
    "a URL with a port": "https://example.com:8080/path@x and mailto:ada@example.com",
    "functions": '{"name":"get_api_key_for_user","description":"Returns the API key: a text."}',
    "a user's role": '{"role":"user","user":null}',
    "a policy": "password policy: at least 8, secret santa: 2024",
    "other languages": "clé=été, ключ=секрет",
    "a hash": "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_is_no_secret_stays(text):
    assert masked(text.encode()) == text.encode()


@pytest.mark.parametrize("path", SHIPPED + REAL, ids=lambda path: path.stem)
def test_a_stream_without_secrets_stays_byte_for_byte(path):
    body = path.read_bytes()
    assert masked(body) == body


@pytest.mark.parametrize(("lead", "secret"), SECRETS.values(), ids=SECRETS)
def test_what_is_masked_is_masked_to_the_same_again(lead, secret):
    once = masked(f'{{"text": "{lead}{secret}@x"}}'.encode())
    assert masked(once) == once


def test_masks_leave_a_stream_that_is_read_as_before():
    body = Recording.named("chat-text").body.replace(b"chatcmpl-", b"sk-proj-0123456789abcdef-")
    got = masked(body)
    assert got != body
    lines = [line[6:] for line in got.split(b"\n") if line.startswith(b"data: {")]
    assert [sorted(json.loads(line)) for line in lines]
    assert re.sub(rb"[*]", b"", got).count(b"\n") == body.count(b"\n")


def test_any_bytes_are_masked_without_moving_one_and_once_is_enough():
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis import strategies as st

    leads = [lead for lead, _ in SECRETS.values()] + list(BEFORE.values()) + list(PEM.values())
    parts = st.one_of(
        st.sampled_from([*leads, RAW, HEX, '"', "\\", "-----BEGIN A KEY-----", "-----END", "/@:"]),
        st.text(alphabet='aZ09-_*=+/.\\" \n:@%&{}é', max_size=12),
    )

    @hypothesis.given(st.lists(parts, max_size=12).map("".join))
    def check(text):
        body = text.encode()
        once = masked(body)
        assert len(once) == len(body)
        assert [a for a, b in zip(body, once) if a != b and b != 42] == []
        assert masked(once) == once

    check()


def test_what_a_mask_makes_a_secret_is_masked_at_once():
    body = b"nvapi-sk-proj-sk-proj-sk-proj-"
    assert masked(body) == b"nvapi-" + b"*" * 24


def test_a_backslash_in_a_pem_block_stays_one():
    body = json.dumps("-----BEGIN A KEY-----\\/abc").encode()
    assert masked(body) == b'"-----BEGIN A KEY-----\\\\****"'


def test_an_escape_behind_an_equals_sign_stays_one():
    for text in ("key=\nAZURE_OPENAI_API_KEY=0123456789abcdef", "key=\u00e90123456789abcdef"):
        body = json.dumps({"text": text}).encode()
        assert "key=" in json.loads(masked(body))["text"]


NUMBERS = [123456789012, -123456789012, 1234567.5, 1.5e300, 12345678]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", ["password", "api_key", "x-secret", "session_token"])
def test_a_number_of_json_under_a_telling_key_becomes_another_number(name, number):
    body = json.dumps({"a": {name: number}, "b": "c"}).encode()
    once = masked(body)
    assert json.loads(once) == {"a": {name: int("1" * len(str(number)))}, "b": "c"}
    assert (len(once), masked(once)) == (len(body), once)


def test_a_number_in_a_string_of_json_becomes_another_number():
    inner = json.dumps({"password": 123456789012})
    [value] = json.loads(masked(json.dumps([inner]).encode()))
    assert json.loads(value) == {"password": 111111111111}


def test_a_number_that_is_not_of_json_is_masked_as_any_other_text():
    assert masked(b"password=123456789012") == b"password=************"
    assert masked(b"password: 123456789012") == b"password: ************"


def test_json_stays_json():
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis import strategies as st

    pieces = [lead + secret for lead, secret in SECRETS.values()]
    pieces += ["\n", '"', "\\", "/", "-----BEGIN A KEY-----", "é", '{"password": "x"}', "bearer "]
    texts = st.lists(st.sampled_from(pieces), max_size=6).map("".join)

    names = texts | st.sampled_from(["password", "api_key"])
    values = texts | st.lists(texts) | st.integers() | st.floats(allow_nan=False)

    @hypothesis.given(st.dictionaries(names, values), st.booleans())
    def check(value, is_ascii):
        body = json.dumps(value, ensure_ascii=is_ascii).encode()
        json.loads(masked(body))
        json.loads(masked(json.dumps({"text": body.decode()}).replace("/", "\\/").encode()))

    check()


@pytest.mark.parametrize(
    "text", ["sk-", "key=", "a-" * 5, "://a:", "-----BEGIN A-----", "eyJ", "bearer ", 'api"', "\\"]
)
def test_the_work_grows_with_the_text_and_no_faster(text):
    masked((text * 100_000).encode())  # minutes, if it were otherwise


#: What a text repeats to make a pattern look for an end again and again.
REPEATED = [
    *["eyJ-", "eyJaaaaaaaa-", "eyJaaaaaaaa.a", "sk-", "hf_", "SG.a", "key=", "a_a-", "://a:"],
    *['"password":"', '\\"password\\":', "bearer ", "-----BEGIN A KEY-----a-", "\\", '"', "*"],
    *["hooks.slack.com/services/", "0123456789:AA", "hvs.", "AccountKey ="],
]


@pytest.mark.parametrize("repeated", REPEATED)
def test_the_work_is_linear_in_the_text(repeated):
    def measured_s(size):
        body = (repeated * (size // len(repeated))).encode()
        times_s = []
        for _ in range(3):
            began_s = time.process_time()
            masked(body)
            times_s.append(time.process_time() - began_s)
        return min(times_s)

    assert measured_s(40_000) < 10 * measured_s(10_000) + 0.02  # squared, it would be 16


def test_a_chain_that_would_take_for_ever_is_refused_and_never_half_masked(monkeypatch):
    monkeypatch.setattr(_secrets, "_MOST_WORK_BYTES", 1 << 17)
    with pytest.raises(RecordingError, match="text is a chain of what may be secrets"):
        masked(b"SG.aaaaaaaaaaaaaaaa" * 1000)


JWTS = {
    "behind a short one": ("eyJaaaaaaaa.x.", "eyJ" + RAW[:20] + "." + RAW[:20] + ".sig"),
    "after runs that are none": ("eyJ-eyJ-a.eyJ.", "eyJ" + RAW[:20] + "." + RAW[:20]),
    "whose start a word hides": ("xeyJaaaaaaaa.aaaaaaaa-", "eyJ" + RAW[:9] + "." + RAW[:9]),
}


@pytest.mark.parametrize(("before", "jwt"), JWTS.values(), ids=JWTS)
def test_a_jwt_is_found_among_what_looks_like_one(before, jwt):
    assert masked((before + jwt).encode()).decode() == before + "eyJ" + "*" * (len(jwt) - 3)


def test_what_has_too_short_a_part_is_no_jwt():
    for text in ("eyJ" + RAW, f"eyJ{RAW}.abc", "eyJabc." + RAW[:20]):
        assert masked(text.encode()) == text.encode()

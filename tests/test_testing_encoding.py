"""sse_middleware.testing._encoding: compression undone, where there is any."""

import gzip
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_middleware.errors import RecordingError
from sse_middleware.testing import _encoding
from sse_middleware.testing._encoding import decoded

TEXT = "data: \u00e9\n\n".encode()


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        pytest.param(gzip.compress(TEXT), "gzip", id="gzip"),
        pytest.param(gzip.compress(TEXT), "GZip ", id="gzip in capitals"),
        pytest.param(gzip.compress(TEXT), "x-gzip", id="x-gzip"),
        pytest.param(gzip.compress(TEXT[:4]) + gzip.compress(TEXT[4:]), "gzip", id="two members"),
        pytest.param(gzip.compress(TEXT) + b"\0\0", "gzip", id="padding after gzip"),
        pytest.param(zlib.compress(TEXT), "deflate", id="deflate with the header of zlib"),
        pytest.param(raw_deflate(TEXT), "deflate", id="deflate without it"),
        pytest.param(TEXT, "gzip", id="gzip undone before"),
        pytest.param(TEXT, "deflate", id="deflate undone before"),
        pytest.param(TEXT, "br", id="br undone before"),
        pytest.param(TEXT, "identity", id="identity"),
        pytest.param(TEXT, "", id="empty"),
    ],
)
def test_the_body_is_what_the_client_reads(body, coding):
    assert decoded(body, [("Content-Encoding", coding)], "r") == TEXT


def test_without_the_header_nothing_is_touched():
    assert decoded(gzip.compress(TEXT), [("content-type", "gzip")], "r") == gzip.compress(TEXT)


def test_two_headers_are_one_list_of_codings():
    with pytest.raises(RecordingError, match="is 'gzip, br': expected"):
        decoded(b"\xff", [("content-encoding", "gzip"), ("content-encoding", "br")], "r")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_an_empty_body_stays_empty(coding):
    assert decoded(b"", [("content-encoding", coding)], "r") == b""


def test_what_was_received_of_a_stream_that_was_cut_is_kept():
    body = gzip.compress(TEXT * 100, 1)
    assert (TEXT * 100).startswith(decoded(body[:-9], [("content-encoding", "gzip")], "r"))


@pytest.mark.parametrize(
    ("body", "coding", "message"),
    [
        (
            b"\x1f\x8b\xff\xff" + TEXT,
            "gzip",
            r"r: body is damaged \(Error -3 while decompressing data: .*\): expected gzip data",
        ),
        (
            b"\xff\xff\xff",
            "deflate",
            r"r: body is damaged \(Error -3 while decompressing data: .*\): expected deflate data",
        ),
        (
            b"\x8b\x03\x80",
            "br",
            "r: content-encoding is 'br': expected gzip or deflate; record it with the request "
            "header Accept-Encoding: identity",
        ),
        (
            b"\x8b\x03\x80",
            "gzip, br",
            "r: content-encoding is 'gzip, br': expected gzip or deflate; .*",
        ),
    ],
)
def test_what_cannot_be_decoded_is_told_in_one_line(body, coding, message):
    with pytest.raises(RecordingError, match=rf"^{message}$"):
        decoded(body, [("content-encoding", coding)], "r")


@given(st.binary(), st.sampled_from(["gzip", "deflate", "br", "gzip, deflate"]))
def test_any_bytes_are_decoded_or_refused(body, coding):
    with suppress(RecordingError):
        assert isinstance(decoded(body, [("content-encoding", coding)], "r"), bytes)


BOMBS = {
    "gzip": (gzip.compress(bytes(5000)), "gzip"),
    "members of gzip": (gzip.compress(bytes(600)) * 2, "gzip"),
    "deflate": (zlib.compress(bytes(5000)), "deflate"),
    "raw deflate": (raw_deflate(bytes(5000)), "deflate"),
}


@pytest.mark.parametrize(("body", "coding"), BOMBS.values(), ids=BOMBS)
def test_a_few_bytes_that_say_very_many_are_refused(body, coding, monkeypatch):
    monkeypatch.setattr(_encoding, "_MAX_BYTES", 1000)
    with pytest.raises(RecordingError, match="damaged"):
        decoded(body, [("Content-Encoding", coding)], "r")

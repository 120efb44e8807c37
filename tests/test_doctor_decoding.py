"""sse_middleware.doctor.decoding: what a compressor lets out, and when."""

import gzip
import zlib

import pytest

from sse_middleware.doctor.asking import ask
from sse_middleware.doctor.decoding import decoded
from sse_middleware.doctor.probe import LIMIT_BYTES, Heard, Read


def heard(encoding, *datas):
    reads = [Read(float(number), data) for number, data in enumerate(datas)]
    headers = [("Content-Encoding", encoding)] if encoding else []
    return Heard(ask("http://h"), headers=headers, reads=reads)


@pytest.mark.parametrize("encoding", ["", "identity", "Identity"])
def test_what_is_not_compressed_passes(encoding):
    assert decoded(heard(encoding, b"a", b"b")) == [Read(0.0, b"a"), Read(1.0, b"b")]


@pytest.mark.parametrize("bits", [31, 15], ids=["gzip", "zlib"])
def test_each_read_gives_what_the_compressor_let_out_with_it(bits):
    made = zlib.compressobj(wbits=bits)
    first = made.compress(b"data: 1\n\n") + made.flush(zlib.Z_SYNC_FLUSH)
    second = made.compress(b"data: 2\n\n")
    third = made.compress(b"data: 3\n\n") + made.flush()
    encoding = "gzip" if bits == 31 else "deflate"
    texts = [read.data for read in decoded(heard(encoding, first, second, third))]
    assert texts == [b"data: 1\n\n", b"", b"data: 2\n\ndata: 3\n\n"]


def test_an_encoding_that_was_not_asked_for_cannot_be_read():
    assert decoded(heard("br", b"a")) is None


def test_a_damaged_body_cannot_be_read_from_its_start():
    assert decoded(heard("gzip", b"damaged")) is None


def test_a_body_that_is_damaged_later_ends_there():
    made = zlib.compressobj(wbits=31)
    good = made.compress(b"data: 1\n\n") + made.flush(zlib.Z_SYNC_FLUSH)
    assert decoded(heard("gzip", good, b"\xff" * 9)) == [Read(0.0, b"data: 1\n\n")]


def test_a_bomb_is_bounded():
    [read] = decoded(heard("gzip", gzip.compress(bytes(4 * LIMIT_BYTES)), b"more"))
    assert len(read.data) == LIMIT_BYTES

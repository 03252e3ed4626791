"""Compressed answers: bounded, whole, and of any number of members."""

import gzip
import tracemalloc
import zlib
from typing import Any

import pytest

from sympozium_agent.transport.content_encoding import MAX_DECODED_BYTES, DecodingError, decoder

TEXT = b'data: {"a": 1}\n\n' * 9
CODED = {
    "gzip": gzip.compress(TEXT),
    "zlib": zlib.compress(TEXT),
    "bare deflate": zlib.compress(TEXT, wbits=-zlib.MAX_WBITS),
}


def decoded(decoding: Any, raw: bytes, step: int = 65536) -> bytes:
    content = b"".join(
        piece for start in range(0, len(raw), step) for piece in decoding.decode(raw[start : start + step])
    )
    decoding.close()
    return content


@pytest.mark.parametrize("step", [1, 3, 65536])
@pytest.mark.parametrize("name", CODED)
def test_each_coding_is_decoded_in_any_pieces(name: str, step: int) -> None:
    assert decoded(decoder("deflate"), CODED[name], step) == TEXT


@pytest.mark.parametrize("step", [1, 7, 65536])
@pytest.mark.parametrize("padding", [b"", b"\0" * 5])
def test_each_member_of_gzip_is_decoded(step: int, padding: bytes) -> None:
    raw = gzip.compress(TEXT) + padding + gzip.compress(b"") + gzip.compress(b"data: [DONE]\n\n") + padding
    assert decoded(decoder("gzip"), raw, step) == TEXT + b"data: [DONE]\n\n"


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("rest", [b"\n", b"trailing"])
def test_bytes_after_the_content_are_ignored(name: str, rest: bytes) -> None:
    assert decoded(decoder("gzip"), CODED[name] + rest) == TEXT


@pytest.mark.parametrize("name", CODED)
def test_content_that_is_cut_is_an_error(name: str) -> None:
    for end in range(1, len(CODED[name])):
        with pytest.raises(DecodingError):
            decoded(decoder("gzip"), CODED[name][:end])


def test_a_member_that_is_cut_is_an_error() -> None:
    with pytest.raises(DecodingError):
        decoded(decoder("gzip"), CODED["gzip"] + CODED["gzip"][:-9])


def test_no_content_at_all_is_no_error() -> None:
    assert decoded(decoder("gzip"), b"") == b""
    assert decoded(decoder("identity"), b"as it is") == b"as it is"


def test_content_is_decoded_within_bounds() -> None:
    bomb = gzip.compress(b" " * (MAX_DECODED_BYTES + 1))
    sizes: list[int] = []
    tracemalloc.start()
    try:
        with pytest.raises(DecodingError, match="larger than 64 MiB"):
            sizes.extend(map(len, decoder("gzip").decode(bomb)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) <= MAX_DECODED_BYTES
    assert peak < 4 * 1024 * 1024

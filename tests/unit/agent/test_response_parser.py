"""The agent's parser of responses agrees with h11, which many more servers have tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sympozium_agent.transport.response_parser import MAX_HEAD_BYTES, ResponseParser


@dataclass
class Answer:
    """What a parser found: None for what is not HTTP."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """Without those of the framing, whose values h11 rewrites."""
    body: bytes = b""
    is_whole: bool = False


def without_framing(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in ("content-length", "transfer-encoding")}


def parsed(pieces: list[bytes]) -> Answer:
    parser, answer = ResponseParser(), Answer()
    for piece in [*(piece for piece in pieces if piece), b""]:
        if not parser.is_complete and parser.failure is None:
            answer.body += b"".join(parser.feed(piece))
    if parser.head:
        answer.status, answer.headers = parser.head.status, without_framing(parser.head.headers)
    answer.is_whole = parser.is_complete
    return answer


def parsed_by_h11(pieces: list[bytes]) -> Answer:
    connection, answer = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES), Answer()
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    try:
        for piece in [*(piece for piece in pieces if piece), b""]:
            connection.receive_data(piece)
            while (event := connection.next_event()) is not h11.NEED_DATA:
                match event:
                    case h11.Response(status_code=status, headers=headers):
                        answer.status = status
                        answer.headers = without_framing({n.decode(): value.decode("latin-1") for n, value in headers})
                    case h11.Data(data=data):
                        answer.body += bytes(data)
                    case h11.EndOfMessage():
                        answer.is_whole = True
                        return answer
                    case h11.ConnectionClosed() | h11.PAUSED:
                        return answer
    except h11.RemoteProtocolError:
        pass
    return answer


ends = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n"])
status_lines = st.sampled_from(
    [
        "HTTP/1.1 200 OK",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 404",
        "HTTP/1.1 200 ",
        "HTTP/1.1 204 No",
        "HTTP/1.1 304 x",
        "HTTP/2.0 200 é",
        "HTTP/1.1 100 Continue",
        "HTTP/1.1 99 x",
        "HTTP/1.1 2000",
        "HTTP/1.1  200 OK",
        "ICY 200 OK",
        "HTTP/1.1 200 a\x00",
        "http/1.1 200 OK",
    ]
)
headers = st.sampled_from(
    [
        "content-length: 5",
        "Content-Length:3",
        "content-length: 5, 5",
        "content-length: 5,6",
        "content-length: -1",
        "content-length: ",
        "content-length: 000000000000000000005",
        "transfer-encoding: chunked",
        "Transfer-Encoding: Chunked",
        "transfer-encoding: gzip, chunked",
        "x: y",
        "x:\t y z \t",
        "x:",
        " folded",
        "\tfolded",
        "na me: x",
        ": x",
        "x : y",
        "x",
        "é: x",
        "x: é",
        "x: a\x01b",
        "x: a\x00b",
        "x: a\x0bb",
        "set-cookie: a=1",
        "content-type: text/event-stream",
    ]
)
bodies = st.sampled_from(
    [
        "",
        "hello",
        "hel",
        "hello world",
        "5\r\nhello\r\n0\r\n\r\n",
        "5;a=b\r\nhello\r\n0\r\nt: 1\r\n\r\n",
        "5 \r\nhello\r\n00\r\n\n",
        "5\nhello\n0\n\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "x\r\n",
        "\r\n",
        "5\r\nhel",
        "ffffffffffffffffffff\r\nx",
        "5 ;a\r\nhello\r\n0\r\n\r\n",
        "0\r\nbad trailer\r\n\r\n",
        "5;\n\r\nhello\r\n0\r\n\r\n",
        "A\r\n0123456789\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n",
    ]
)


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    lines = [draw(status_lines), *draw(st.lists(headers, max_size=4))]
    head = "".join(line + draw(ends) for line in lines) + draw(ends)
    return (head + draw(bodies)).encode("latin-1")


@settings(max_examples=600, deadline=None)
@given(data=st.data(), raw=st.one_of(responses(), st.lists(responses(), min_size=2, max_size=2).map(b"".join)))
def test_however_a_response_is_cut_both_parsers_find_the_same(data: st.DataObject, raw: bytes) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    pieces = [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert parsed(pieces) == parsed_by_h11(pieces)


@given(raw=st.binary(max_size=60))
@example(raw=b"HTTP/1.1 101 Switching\r\n\r\n")
@example(raw=b"\r\nHTTP/1.1 200 OK\r\n\r\n")
def test_bytes_that_are_no_http_are_refused(raw: bytes) -> None:
    assert parsed([raw]).status is None
    assert parsed_by_h11([raw]).status is None


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;"]
)
def test_a_head_without_end_is_refused(start: bytes) -> None:
    parser = ResponseParser()
    parser.feed(start)
    parser.feed(b"x" * (MAX_HEAD_BYTES - len(start)))
    assert parser.failure is None
    parser.feed(b"x" * 1024)
    assert "too long" in str(parser.failure)


def test_each_piece_of_a_body_is_returned_as_it_comes() -> None:
    parser = ResponseParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe") == [b"he"]
    assert parser.feed(b"llo\r\n3\r\nyou\r\n0\r\n") == [b"llo", b"you"]
    assert not parser.is_complete
    assert parser.feed(b"\r\n") == []
    assert parser.is_complete

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_agent.transport import sse_parser
from sympozium_agent.transport.sse_parser import SseEvent, SseParser

lines = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12)
events = st.lists(st.lists(lines, min_size=1, max_size=3), max_size=4)


def parsed(*received: bytes) -> list[str]:
    parser = SseParser()
    return [event.data for event in (*(event for piece in received for event in parser.feed(piece)), *parser.close())]


@given(data=st.data(), sent=events, end=st.sampled_from(["\n", "\r\n", "\r"]), mark=st.sampled_from(["", "\ufeff"]))
def test_however_the_bytes_are_cut_the_events_are_the_same(
    data: st.DataObject, sent: list[list[str]], end: str, mark: str
) -> None:
    text = mark + "".join("".join(f"data: {line}{end}" for line in event) + f": ping{end}{end}" for event in sent)
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    received = [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert parsed(*received) == ["\n".join(event) for event in sent]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_is_there_as_soon_as_its_empty_line_is(end: bytes) -> None:
    assert SseParser().feed(b"data: 1" + end + end) == [SseEvent("", "1")]


def test_nothing_between_the_two_halves_of_a_line_end_changes_nothing() -> None:
    assert parsed(b"data: a\r", b"", b"\ndata: b\r\n\r\n") == ["a\nb"]


def test_each_byte_of_a_long_line_is_scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scanned: list[int] = []
    line_end = sse_parser._LINE_END

    class Scanner:
        def split(self, text: bytes) -> list[bytes]:
            scanned.append(len(text))
            return line_end.split(text)

    monkeypatch.setattr(sse_parser, "_LINE_END", Scanner())
    raw = b"data: " + b"a" * 100_000 + b"\n\n"
    assert parsed(*(raw[start : start + 1000] for start in range(0, len(raw), 1000))) == ["a" * 100_000]
    assert sum(scanned) == len(raw)


def test_only_one_space_after_the_colon_is_left_out() -> None:
    assert parsed(b"data:  x\n\ndata:y\n\n") == [" x", "y"]


def test_comments_and_other_fields_are_skipped() -> None:
    assert parsed(b": ping\n\nevent: message\nid: 7\nretry: 1\ndata: x\n\nevent: bare\n\n") == ["x"]


def test_a_last_event_without_its_empty_line_counts() -> None:
    assert parsed(b"data: x\n\ndata: [DONE]") == ["x", "[DONE]"]


def test_an_event_has_its_name_and_the_next_one_has_none() -> None:
    assert SseParser().feed(b"event: error\ndata: x\n\ndata: y\n\n") == [SseEvent("error", "x"), SseEvent("", "y")]

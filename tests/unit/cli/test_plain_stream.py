import pytest
from hypothesis import given
from hypothesis import strategies as st

from sympozium_cli.plain_stream import PlainStream
from sympozium_cli.plain_text import plain_lines

PIECES = [
    "\x1b",
    "[",
    "31m",
    "]0;",
    "title",
    "\x07",
    "\\",
    "\x9b",
    "2J",
    "\r",
    "\n",
    "a",
    " ",
    "\u202e",
    "P",
    "\x9c",
    "ü",
]


def shown(*pieces: str) -> str:
    stream = PlainStream()
    return "".join([*map(stream.feed, pieces), stream.end()])


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07red",
        "\x1b]8;;http://a\x1b\\red\x1b]8;;\x1b\\",
        "\x9b31mred",
        "\x1bP1q\x1b\\red",
    ],
)
def test_a_sequence_is_taken_out_wherever_a_piece_ends(text: str) -> None:
    for at in range(len(text) + 1):
        assert shown(text[:at], text[at:]) == "red"
    assert shown(*text) == "red"


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_no_piece_acts_on_a_terminal(pieces: list[str]) -> None:
    result = shown(*pieces)
    assert not set(result) & set("\x1b\x9b\x07\r\u202e\x9c")
    assert result.replace("\ufffd", "") == "\n".join(plain_lines("".join(pieces))).replace("\ufffd", "")


def test_plain_text_is_shown_at_once() -> None:
    stream = PlainStream()
    assert [stream.feed(piece) for piece in ("Hel", "lo\n", "wor\tld")] == ["Hel", "lo\n", "wor ld"]


def test_a_sequence_without_end_holds_back_no_more_than_its_bound() -> None:
    assert "end" in shown("\x1b]0;", "x" * 5000, "\x07 the end")

"""Lines of text with a colour each, and their wrapping to a width in cells. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, chop_cells

from sympozium_cli.plain_text import plain, plain_lines
from sympozium_cli.tui.views.columns import Tone

_LABEL = 14


@dataclass(frozen=True, slots=True)
class Line:
    """One line before it is wrapped."""

    text: str = ""
    tone: Tone = ""


def foreign(text: Any, tone: Tone = "") -> list[Line]:
    """Return the lines of a text that somebody else wrote."""
    return [Line(line, tone) for line in plain_lines(text)]


def heading(text: str) -> list[Line]:
    """Return a heading with an empty line before it."""
    return [Line(), Line(text.upper(), "strong")]


def labelled(label: str, value: Any, tone: Tone = "") -> list[Line]:
    """Return a line with a label and a value; none for a value that is not known."""
    return [] if value in (None, "") else [Line(f"{label:<{_LABEL}} {plain(value)}", tone)]


def wrapped(text: str, width: int) -> Iterator[str]:
    """Yield the pieces of a line that fit into ``width`` cells, cut at blanks where there are any."""
    if (len(text) if text.isascii() else cell_len(text)) <= width:
        yield text
        return
    indent = " " * min(len(text) - len(text.lstrip(" ")), width // 2)
    piece, room = "", width
    for word in _words(text):
        size = cell_len(word)
        if size <= room:
            piece, room = piece + word, room - size
            continue
        if piece.strip():
            yield piece.rstrip()
            piece, room = indent, width - len(indent)
            word = word.lstrip(" ")  # noqa: PLW2901 - a piece begins with a word
        *full, piece_rest = chop_cells(word, max(1, room)) or [""]
        for part in full:
            yield piece + part
            piece, room = indent, width - len(indent)
        piece, room = piece + piece_rest, room - cell_len(piece_rest)
    if piece.strip():
        yield piece.rstrip()


def _words(text: str) -> Iterator[str]:
    """Yield the words of a text, each with the blanks before it."""
    start, length = 0, len(text)
    while start < length:
        end = start
        while end < length and text[end] == " ":
            end += 1
        blank = text.find(" ", end)
        end = length if blank < 0 else blank
        yield text[start:end]
        start = end

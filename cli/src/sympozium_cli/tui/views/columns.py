"""Columns of a list, and which of them a terminal's width has room for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, set_cell_size

Tone = Literal["", "good", "bad", "warn", "dim", "strong"]
"""Colour of a text. It repeats what a word or a sign beside it says."""

_GAP = 2
_COMFORT = 26
"""Cells to which a column is cut before others are left out."""
_LEAST = 8
"""Cells below which no column is cut."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of one row in one column."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a list."""

    title: str
    rank: int = 0
    """Columns of the highest rank are left out first where there is no room; those of rank 0 never."""
    right: bool = False
    """True: numbers, which end at the same cell."""
    can_be_cut: bool = False
    """True: where there is no room the text ends with ``…``."""


@dataclass(frozen=True, slots=True)
class FittedColumn:
    """A column that has room, with its width in cells."""

    index: int
    width: int


def fitted(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[FittedColumn]:
    """Return the columns that fit into ``width`` cells, in their order."""
    widths = [cell_len(column.title) for column in columns]
    for row in rows:
        for index, cell in enumerate(row):
            size = len(cell.text) if cell.text.isascii() else cell_len(cell.text)
            widths[index] = max(widths[index], size)
    kept = list(range(len(columns)))

    def least(index: int) -> int:
        return min(widths[index], _COMFORT) if columns[index].can_be_cut else widths[index]

    while sum(least(index) + _GAP for index in kept) - _GAP > width:
        highest = max(columns[index].rank for index in kept)
        if highest == 0:
            break
        kept.remove(max(index for index in kept if columns[index].rank == highest))
    excess = sum(widths[index] + _GAP for index in kept) - _GAP - width
    for index in sorted((i for i in kept if columns[i].can_be_cut), key=lambda i: -widths[i]):
        cut = min(max(0, excess), max(0, widths[index] - _LEAST))
        widths[index] -= cut
        excess -= cut
    return [FittedColumn(index, widths[index]) for index in kept]


def sized(text: str, width: int, *, right: bool = False) -> str:
    """Return a text with exactly ``width`` cells: filled with blanks, or cut with ``…``."""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    blanks = " " * (width - length)
    return blanks + text if right else text + blanks

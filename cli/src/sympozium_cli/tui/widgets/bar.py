"""One line with texts at its left and at its right."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from sympozium_cli.tui.views.columns import Cell, sized
from sympozium_cli.tui.widgets.tones import TONE_CLASSES, TONE_CSS, segments, tone_style


class Bar(Widget):
    """A line of cells. Those at the right are kept whole; those at the left are cut."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(TONE_CLASSES)
    DEFAULT_CSS = (
        """
    Bar { height: 1; width: 1fr; }
    """
        + TONE_CSS
    )

    def __init__(self, left: Sequence[Cell] = (), right: Sequence[Cell] = (), *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.left = tuple(left)
        self.right = tuple(right)

    def show(self, left: Sequence[Cell], right: Sequence[Cell] = ()) -> None:
        """Show these cells in place of others."""
        if (tuple(left), tuple(right)) != (self.left, self.right):
            self.left, self.right = tuple(left), tuple(right)
            self.refresh()

    @property
    def text(self) -> str:
        """The texts of all cells."""
        return "".join(cell.text for cell in (*self.left, *self.right))

    def render_line(self, _y: int) -> Strip:
        """Return the line."""
        width = max(0, self.size.width - 2)
        at_right = sum(cell_len(cell.text) for cell in self.right)
        room = max(0, width - at_right - 1) if self.right else width
        pieces = [Segment(" ", self.rich_style)]
        for cell in self.left:
            text = cell.text if cell_len(cell.text) <= room else sized(cell.text, room)
            room -= cell_len(text)
            pieces += segments(text, self.rich_style + tone_style(self, cell.tone))
        if self.right:
            pieces.append(Segment(" " * (room + 1), self.rich_style))
            for cell in self.right:
                pieces += segments(cell.text, self.rich_style + tone_style(self, cell.tone))
        return Strip(pieces).adjust_cell_length(self.size.width, self.rich_style)

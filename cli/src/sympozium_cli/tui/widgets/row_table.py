"""A table that draws the lines that are seen, so that its rows cost nothing until they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from sympozium_cli.tui import keys
from sympozium_cli.tui.views.columns import Cell, Column, FittedColumn, fitted, sized
from sympozium_cli.tui.views.reading import Key
from sympozium_cli.tui.widgets.tones import TONE_CLASSES, TONE_CSS, segments, tone_style

_MARK = 2
"""Cells before a row: a sign stands there at the cursor."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: the key of its object, and its cells."""

    key: Key
    cells: tuple[Cell, ...]


class RowTable(Widget, can_focus=True):
    """Rows under a line of titles, with a cursor that stays on its object when rows come and go."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {*TONE_CLASSES, "cursor", "titles"}
    DEFAULT_CSS = (
        """
    RowTable { height: 1fr; width: 1fr; }
    RowTable > .titles { text-style: bold dim; }
    RowTable > .cursor { background: $primary-muted; }
    RowTable:focus > .cursor { background: $primary-muted; text-style: bold; }
    """
        + TONE_CSS
    )
    BINDINGS = keys.bindings(*keys.LIST)

    class CursorMoved(Message):
        """The cursor is on another object."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.rows: list[TableRow] = []
        self.cursor = 0
        self.top = 0
        self.keeps_first = False
        """True: the cursor stays on the first row, whichever object it is."""
        self.wanted: Key | None = None
        """Object to which the cursor goes as soon as it is here."""
        self._fitted: list[FittedColumn] | None = None

    @property
    def selected(self) -> Key | None:
        """Namespace and name of the object at the cursor; None: there is none."""
        return self.rows[self.cursor].key if self.rows else None

    def show(self, rows: list[TableRow], columns: Sequence[Column] | None = None) -> None:
        """Show these rows; the cursor stays on its object or, if that is gone, at its place."""
        selected = self.wanted or self.selected
        self.columns, self.rows, self._fitted = tuple(columns or self.columns), rows, None
        at = next((index for index, row in enumerate(rows) if row.key == selected), self.cursor)
        self.wanted = None if rows else self.wanted
        self._move(0 if self.keeps_first else at)
        self.refresh()

    def _move(self, row: int) -> None:
        before = self.cursor, self.top
        self.cursor = max(0, min(row, len(self.rows) - 1))
        seen = max(1, self.size.height - 1)
        self.top = max(0, min(self.top, self.cursor, len(self.rows) - seen))
        self.top = max(self.top, self.cursor - seen + 1)
        if before != (self.cursor, self.top):
            self.refresh()
        if before[0] != self.cursor:
            self.post_message(self.CursorMoved())

    def _by_hand(self, row: int) -> None:
        self.keeps_first = self.keeps_first and row <= 0
        self._move(row)

    def action_up(self) -> None:
        """Move the cursor a row up."""
        self._by_hand(self.cursor - 1)

    def action_down(self) -> None:
        """Move the cursor a row down."""
        self._by_hand(self.cursor + 1)

    def action_page_up(self) -> None:
        """Move the cursor a page up."""
        self._by_hand(self.cursor - max(1, self.size.height - 2))

    def action_page_down(self) -> None:
        """Move the cursor a page down."""
        self._by_hand(self.cursor + max(1, self.size.height - 2))

    def action_first(self) -> None:
        """Move the cursor to the first row."""
        self._by_hand(0)

    def action_last(self) -> None:
        """Move the cursor to the last row."""
        self._by_hand(len(self.rows) - 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move the cursor with the wheel."""
        event.stop()
        self._by_hand(self.cursor + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move the cursor with the wheel."""
        event.stop()
        self._by_hand(self.cursor - 3)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the row under the mouse."""
        if 0 < event.y <= len(self.rows) - self.top:
            self._by_hand(self.top + event.y - 1)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._fitted = None
        self._move(self.cursor)

    def render_line(self, y: int) -> Strip:
        """Return a line: the titles, a row or nothing."""
        width = self.size.width
        if self._fitted is None:
            self._fitted = fitted(self.columns, [row.cells for row in self.rows], width - _MARK)
        index = self.top + y - 1
        if y == 0:
            cells: Sequence[Cell] = [Cell(column.title) for column in self.columns]
            return self._line(
                "  ", cells, width, self.rich_style + self.get_component_rich_style("titles", partial=True)
            )
        if index >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        is_cursor = index == self.cursor
        style = self.rich_style
        if is_cursor:
            style += self.get_component_rich_style("cursor", partial=True)
            if self.app.no_color:
                style += Style(reverse=True)
        return self._line("> " if is_cursor else "  ", self.rows[index].cells, width, style)

    def _line(self, mark: str, cells: Sequence[Cell], width: int, style: Style) -> Strip:
        pieces = [Segment(mark, style)]
        for column in self._fitted or ():
            cell = cells[column.index]
            text = sized(cell.text, column.width, right=self.columns[column.index].right)
            pieces += [*segments(text, style + tone_style(self, cell.tone)), Segment("  ", style)]
        return Strip(pieces).adjust_cell_length(width, style)

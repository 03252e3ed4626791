"""A pane of text that wraps and draws the lines that are seen."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from sympozium_cli.tui import keys
from sympozium_cli.tui.views.columns import Tone
from sympozium_cli.tui.views.lines import Line, wrapped
from sympozium_cli.tui.widgets.tones import TONE_CLASSES, TONE_CSS, segments, tone_style

Block = Line | Callable[[int], list[Strip]]
"""A line, or what makes the lines of a width."""
_SIDE = 1
"""Cells that stay free at each side."""


class TextPane(Widget, can_focus=True):
    """Lines with a scroll position. With ``follows`` the last line stays in sight."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(TONE_CLASSES)
    DEFAULT_CSS = (
        """
    TextPane { height: 1fr; width: 1fr; }
    """
        + TONE_CSS
    )
    BINDINGS = keys.bindings(*keys.LIST)

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[Block] = []
        self.top = 0
        self.follows = False
        self.wraps = True
        self._filter: list[str] = []
        self._rows: list[tuple[str, Tone] | Strip] = []
        self._laid_out = 0
        """Number of blocks that are in ``_rows``."""

    def show(self, blocks: Sequence[Block]) -> None:
        """Show these blocks in place of others, from the same position."""
        self.blocks = list(blocks)
        self._lay_out_again()

    def append(self, blocks: Sequence[Block]) -> None:
        """Show more blocks after those that are there."""
        self.blocks += blocks
        self._lay_out()

    def filter(self, text: str) -> None:
        """Show only lines that have all words of a text."""
        self._filter = text.lower().split()
        self._lay_out_again()

    @property
    def text(self) -> str:
        """The text of all blocks that are lines."""
        return "\n".join(block.text for block in self.blocks if isinstance(block, Line))

    @property
    def last_top(self) -> int:
        """Position at which the last line is in sight."""
        return max(0, len(self._rows) - max(1, self.size.height))

    def set_wraps(self, *, wraps: bool) -> None:
        """Wrap long lines, or cut them."""
        self.wraps = wraps
        self._lay_out_again()

    def set_follows(self, *, follows: bool) -> None:
        """Keep the last line in sight, or stay."""
        self.follows = follows
        self._scroll(self.last_top if follows else self.top)

    def _lay_out_again(self) -> None:
        self._rows, self._laid_out = [], 0
        self._lay_out()

    def _lay_out(self) -> None:
        width = self.size.width - 2 * _SIDE
        if width <= 0:
            return
        for block in self.blocks[self._laid_out :]:
            if not isinstance(block, Line):
                self._rows += [] if self._filter else block(width)
            elif all(word in block.text.lower() for word in self._filter):
                pieces = wrapped(block.text, width) if self.wraps else [block.text]
                self._rows += [(piece, block.tone) for piece in pieces]
        self._laid_out = len(self.blocks)
        self._scroll(self.last_top if self.follows else self.top)

    def _scroll(self, top: int) -> None:
        self.top = max(0, min(top, self.last_top))
        self.refresh()

    def _by_hand(self, top: int) -> None:
        self.follows = self.follows and top >= self.last_top
        self._scroll(top)

    def action_up(self) -> None:
        """Scroll a line up."""
        self._by_hand(self.top - 1)

    def action_down(self) -> None:
        """Scroll a line down."""
        self._by_hand(self.top + 1)

    def action_page_up(self) -> None:
        """Scroll a page up."""
        self._by_hand(self.top - max(1, self.size.height - 1))

    def action_page_down(self) -> None:
        """Scroll a page down."""
        self._by_hand(self.top + max(1, self.size.height - 1))

    def action_first(self) -> None:
        """Scroll to the first line."""
        self._by_hand(0)

    def action_last(self) -> None:
        """Scroll to the last line."""
        self._by_hand(self.last_top)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll with the wheel."""
        event.stop()
        self._by_hand(self.top + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll with the wheel."""
        event.stop()
        self._by_hand(self.top - 3)

    def on_resize(self) -> None:
        """Wrap to the new width."""
        self._lay_out_again()

    def render_line(self, y: int) -> Strip:
        """Return the line at a height."""
        width, index = self.size.width, self.top + y
        if index >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row, margin = self._rows[index], Segment(" " * _SIDE, self.rich_style)
        if isinstance(row, Strip):
            pieces = [margin, *row.apply_style(Style(bgcolor=self.rich_style.bgcolor))]
        else:
            pieces = [margin, *segments(row[0], self.rich_style + tone_style(self, row[1]))]
        return Strip(pieces).adjust_cell_length(width, self.rich_style)

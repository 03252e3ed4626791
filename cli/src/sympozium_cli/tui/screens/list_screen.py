"""Lists of objects that stay live."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.widget import Widget

from sympozium_api.resources import ResourceType
from sympozium_cli.tui.keys import KeyHelp
from sympozium_cli.tui.live_rows import LiveRows
from sympozium_cli.tui.screens.base import BaseScreen
from sympozium_cli.tui.views import states
from sympozium_cli.tui.views.columns import Cell, Column
from sympozium_cli.tui.views.lines import Line
from sympozium_cli.tui.views.reading import Key
from sympozium_cli.tui.views.states import Reading
from sympozium_cli.tui.views.window import Window, window
from sympozium_cli.tui.widgets.row_table import RowTable, TableRow
from sympozium_cli.tui.widgets.text_pane import TextPane


class ListScreen(BaseScreen):
    """A view: the rows of a kind, or what is in their place while there are none."""

    VIEW: ClassVar[str]
    KIND: ClassVar[ResourceType]
    COLUMNS: ClassVar[tuple[Column, ...]]
    NEWEST_FIRST: ClassVar[bool] = False
    KEYS: ClassVar[tuple[KeyHelp, ...]]

    def __init__(self, filter_text: str = "") -> None:
        super().__init__()
        self.heading = self.VIEW.capitalize()
        self.table = RowTable(self.COLUMNS)
        self.notice = TextPane()
        self._filter = filter_text
        self._counts = ""

    def body(self) -> Sequence[Widget]:
        """Return the table, and the pane that takes its place."""
        self.notice.can_focus = False
        return [self.notice, self.table]

    def on_mount(self) -> None:
        """Show the rows that are there."""
        self.notice.display = False
        self.table.focus()
        super().on_mount()

    @property
    def live(self) -> LiveRows[Any]:
        """The items of the kind."""
        return self.world.live(self.KIND)

    def items(self) -> list[Any]:
        """Return the items before the filter."""
        return list(self.live.items.values())

    def accepts(self, item: Any) -> bool:
        """Return true if an item passes the screen's own filter."""
        return item is not None

    def cells(self, item: Any) -> tuple[Cell, ...]:
        """Return an item's cells."""
        raise NotImplementedError

    def show_window(self, shown: Window[Any]) -> list[TableRow]:
        """Return the rows of a window."""
        return [TableRow(item.key, self.cells(item)) for item in shown.items]

    def refresh_view(self) -> None:
        """Show the rows as they are now."""
        shown = window(self.items(), self._filter, self.accepts, newest_first=self.NEWEST_FIRST)
        self._counts = shown.counts
        if self.table.is_attached:
            self.table.show(self.show_window(shown))
            instead = self._instead(shown)
            self.notice.display, self.table.display = bool(instead), not instead
            if instead:
                self.notice.show(instead)
        super().refresh_view()

    def _instead(self, shown: Window[Any]) -> list[Line]:
        """Return what stands in the place of rows; nothing if there are any."""
        state, namespace = self.live.state, self.world.namespace
        if found := states.trouble(state, self.KIND, namespace):
            return found
        if shown.items:
            return []
        if isinstance(state, Reading):
            return [Line("Reading …", "dim")]
        if shown.total:
            return states.no_match(" ".join(filter(None, (self._filter, self.own_filter()))), shown.total)
        return states.empty(self.VIEW, namespace)

    def own_filter(self) -> str:
        """Return the screen's own filter in words."""
        return ""

    def title_cells(self) -> list[Cell]:
        """Return the view, how many rows there are, and the filters."""
        state = self.live.state
        reading = isinstance(state, Reading) and state.done
        of = state.done + (state.remaining or 0) if isinstance(state, Reading) else 0
        heading, *away = super().title_cells()
        cells = [heading, Cell(f"  {self._counts}", "dim")]
        if reading:
            cells.append(Cell(f"  reading {state.done} of {of}" if isinstance(state, Reading) else "", "warn"))
        if self.live.left_out:
            cells.append(Cell(f"  {self.live.left_out} older ones left out", "warn"))
        filters = filter(None, (self.own_filter(), self._filter))
        return [*cells, *(Cell(f"  filter: {words}", "warn") for words in filters), *away]

    def as_of(self) -> Any:
        """Return the time of the last answer about the kind."""
        return self.live.as_of

    def filter_text(self) -> str | None:
        """Return the filter."""
        return self._filter

    def set_filter(self, text: str) -> None:
        """Show only rows with the words of a text."""
        self._filter = text
        self.refresh_view()

    def go_back(self) -> None:
        """Clear the filter. There is nothing before a list."""
        self.set_filter("")

    def target(self) -> Key | None:
        """Return the object at the cursor."""
        return self.table.selected

    def selected_item(self) -> Any:
        """Return the item at the cursor; None: there is none."""
        key = self.table.selected
        return None if key is None else self.live.items.get(key)

"""Forms: fields that are saved together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from rich.segment import Segment
from textual import events, on
from textual.containers import Vertical, VerticalScroll
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from sympozium_cli.tui import keys
from sympozium_cli.tui.screens.base import BaseScreen
from sympozium_cli.tui.views.columns import Cell
from sympozium_cli.tui.views.forms import BadValue, Field
from sympozium_cli.tui.views.lines import Line
from sympozium_cli.tui.widgets.bar import Bar
from sympozium_cli.tui.widgets.status_line import StatusLine
from sympozium_cli.tui.widgets.text_pane import TextPane


class Box(Widget, can_focus=True):
    """A box that is ticked or not."""

    DEFAULT_CSS = """
    Box { height: 1; background: $surface; }
    Box:focus { background: $primary-muted; text-style: bold; }
    """
    BINDINGS: ClassVar = [("space", "tick", "tick"), ("enter", "tick", "tick")]

    def __init__(self, *, value: bool, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.value = value

    def action_tick(self) -> None:
        """Tick it, or not."""
        self.value = not self.value
        self.refresh()

    def on_click(self) -> None:
        """Tick it, or not."""
        self.action_tick()

    def render_line(self, _y: int) -> Strip:
        """Return the box."""
        text = " [x] on" if self.value else " [ ] off"
        return Strip([Segment(text, self.rich_style)]).adjust_cell_length(self.size.width, self.rich_style)


class FormScreen(BaseScreen):
    """Fields, a text below them, and Ctrl+S that saves."""

    DEFAULT_CSS = """
    FormScreen VerticalScroll { height: 1fr; padding: 1 2; }
    FormScreen .field { height: 3; }
    """
    KEYS = keys.FORM
    SECTION = "forms"
    BINDINGS = keys.bindings(keys.FORM[2])

    def __init__(self, heading: str, fields: Sequence[Field], notes: Sequence[Line] = ()) -> None:
        super().__init__()
        self.heading = heading
        self._fields = fields
        self._notes = notes

    def body(self) -> Sequence[Widget]:
        """Return the fields."""
        return [VerticalScroll(*map(_field, self._fields), TextPane(), can_focus=False)]

    def on_mount(self) -> None:
        """Show the text, and go to the first field."""
        super().on_mount()
        pane = self.query_one(TextPane)
        pane.can_focus = False
        pane.styles.height = len(self._notes) + 1
        pane.show(self._notes)
        self.query_one(f"#{self._fields[0].name}").focus()

    def texts(self) -> dict[str, str | bool]:
        """Return what is in the fields."""
        found: dict[str, str | bool] = {}
        for field in self._fields:
            widget: Any = self.query_one(f"#{field.name}")
            found[field.name] = widget.value
        return found

    async def save(self, edited: dict[str, str | bool]) -> None:
        """Write the fields that were edited, and no other: somebody else may have written those since the form was opened.

        Raises BadValue, ApiError and ApiUnavailable.
        """
        raise NotImplementedError

    @on(Input.Submitted)
    def next_field(self) -> None:
        """Go to the next field."""
        self.focus_next()

    def on_key(self, event: events.Key) -> None:
        """Move between the fields with the arrow keys."""
        if event.key in {"down", "up"}:
            event.stop()
            self.focus_next() if event.key == "down" else self.focus_previous()

    def action_save(self) -> None:
        """Save, and say what came of it."""
        if self.may_write():
            self.query_one(StatusLine).say(Line("saving…", "warn"))
            self.work(self._save())

    async def _save(self) -> None:
        texts = self.texts()
        try:
            await self.save(
                {field.name: texts[field.name] for field in self._fields if texts[field.name] != field.value}
            )
        except BadValue as error:
            self.query_one(f"#{error.field}").focus()
            raise
        self._fields = [replace(field, value=texts[field.name]) for field in self._fields]
        self.say("saved")


def _field(field: Field) -> Vertical:
    value = field.value
    line = (
        Box(value=value, id=field.name)
        if isinstance(value, bool)
        else Input(value, id=field.name, select_on_focus=False)
    )
    return Vertical(Bar([Cell(f"{field.label}  ", "strong"), Cell(field.hint, "dim")]), line, classes="field")

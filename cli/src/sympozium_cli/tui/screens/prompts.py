"""Small screens over another one: a line to fill in, a question, a text."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from sympozium_cli.tui import keys
from sympozium_cli.tui.views.columns import Cell
from sympozium_cli.tui.views.command_line import History
from sympozium_cli.tui.views.lines import Line
from sympozium_cli.tui.widgets.bar import Bar
from sympozium_cli.tui.widgets.text_pane import TextPane


def _nothing(_text: str) -> list[str]:
    return []


class LinePrompt(ModalScreen[str | None]):
    """A line at the bottom of the screen. Its result is the text, None after Esc.

    Tab completes; Up and Down recall the lines of ``history``.
    """

    DEFAULT_CSS = """
    LinePrompt > Vertical { height: 3; background: $panel; }
    """

    def __init__(
        self,
        words: str,
        *,
        value: str = "",
        history: History | None = None,
        completions: Callable[[str], list[str]] = _nothing,
        on_change: Callable[[str], None] = lambda _text: None,
        refuses: Callable[[str], str] = lambda _text: "",
    ) -> None:
        super().__init__()
        self._words = words
        self._value = value
        self._history = history or History()
        self._completions = completions
        self._on_change = on_change
        self._refuses = refuses

    def compose(self) -> ComposeResult:
        """Yield the words, the line and the hints."""
        with Vertical():
            yield Bar([Cell(self._words, "strong")])
            yield Input(self._value, select_on_focus=False)
            yield Bar(id="hints")

    def on_mount(self) -> None:
        """Show the hints for the first text."""
        self._hint(self._value)

    def _hint(self, text: str) -> None:
        found = self._completions(text)
        hint = "  ".join(found) if found else "Enter: do it   Esc: leave it"
        self.query_one("#hints", Bar).show([Cell(hint, "dim")])

    @on(Input.Changed)
    def changed(self, event: Input.Changed) -> None:
        """Show what the text may become."""
        self._on_change(event.value)
        self._hint(event.value)

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """End with the text, unless it is refused."""
        if why := self._refuses(event.value):
            self.query_one("#hints", Bar).show([Cell(f"✗ {why}", "bad")])
            return
        self._history.add(event.value)
        self.dismiss(event.value)

    def on_key(self, event: events.Key) -> None:
        """Complete, recall or leave."""
        line = self.query_one(Input)
        if event.key == "escape":
            self.dismiss(None)
        elif event.key == "tab":
            found = self._completions(line.value)
            line.value = _common(found) if found else line.value
            line.cursor_position = len(line.value)
        elif event.key in {"up", "down"}:
            line.value = self._history.older() if event.key == "up" else self._history.newer()
            line.cursor_position = len(line.value)
        elif event.key == "ctrl+c":
            self.app.exit()
        else:
            return
        event.stop()
        event.prevent_default()


def _common(lines: Sequence[str]) -> str:
    """Return the longest beginning that all lines share; of a single one, the whole line."""
    first, last = min(lines), max(lines)
    if first == last:
        return first
    length = next((index for index, sign in enumerate(first) if last[index : index + 1] != sign), len(first))
    return first[:length]


class Question(ModalScreen[bool]):
    """Lines, and a question that ``y`` answers with yes."""

    DEFAULT_CSS = """
    Question { align: center middle; background: $background 50%; }
    Question > Vertical { width: 90%; max-width: 110; height: auto; max-height: 80%; background: $panel; border: round $primary; }
    Question TextPane { height: auto; min-height: 3; }
    """
    BINDINGS: ClassVar = [*keys.bindings(*keys.CONFIRM), ("escape", "no", "no"), ("ctrl+c", "no", "no")]

    def __init__(self, lines: Sequence[Line], *, yes: str) -> None:
        super().__init__()
        self._lines = lines
        self._yes = yes

    def compose(self) -> ComposeResult:
        """Yield the lines, and the answers below."""
        with Vertical():
            pane = TextPane()
            pane.styles.height = min(18, len(self._lines) + 2)
            yield pane
            yield Bar([Cell("y ", "strong"), Cell(self._yes), Cell("   n ", "strong"), Cell("no, back")])

    def on_mount(self) -> None:
        """Show the lines."""
        self.query_one(TextPane).show(self._lines)
        self.query_one(TextPane).focus()

    def action_yes(self) -> None:
        """Answer yes."""
        self.dismiss(True)  # noqa: FBT003 - the result

    def action_no(self) -> None:
        """Answer no."""
        self.dismiss(False)  # noqa: FBT003 - the result

"""Screens of text: details, YAML, logs, events, help."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from rich.console import Console
from rich.markdown import Markdown
from rich.segment import Segment
from textual.strip import Strip

from sympozium_cli.plain_text import plain, plain_lines
from sympozium_cli.tui import keys
from sympozium_cli.tui.keys import KeyHelp
from sympozium_cli.tui.screens.base import BaseScreen
from sympozium_cli.tui.views.columns import Cell
from sympozium_cli.tui.views.lines import Line
from sympozium_cli.tui.widgets.text_pane import Block, TextPane


def markdown(text: str) -> list[Block]:
    """Return the blocks of a foreign text in Markdown: no links, no images, no escape sequences."""
    clean = "\n".join(plain_lines(text))

    def drawn(width: int) -> list[Strip]:
        console = Console(width=width, force_terminal=True, color_system="truecolor", legacy_windows=False)
        rendered = Markdown(clean, hyperlinks=False, code_theme="ansi_dark", inline_code_theme="ansi_dark")
        lines = console.render_lines(rendered, console.options.update(width=width), pad=False)
        return [
            Strip(Segment(plain(text), style) for text, style, _ in line) for line in lines
        ]  # entities made more text

    return [drawn]


class TextScreen(BaseScreen):
    """A text that is read once, or again whenever ``version`` changes."""

    KEYS: ClassVar[tuple[KeyHelp, ...]] = (keys.TEXT[0],)
    SECTION = "texts and logs"
    BINDINGS = keys.bindings(*keys.TEXT)

    def __init__(self, heading: str, *, kubectl_line: str = "") -> None:
        super().__init__()
        self.heading = heading
        self.pane = TextPane()
        self._kubectl_line = kubectl_line
        self._filter = ""
        self._version: Any = None

    def body(self) -> Sequence[TextPane]:
        """Return the pane."""
        return [self.pane]

    def on_mount(self) -> None:
        """Read the text."""
        super().on_mount()
        self.pane.focus()
        self._version = self.version()
        self.work(self.load())

    async def load(self) -> None:
        """Read the text and show it in the pane."""

    def version(self) -> Any:
        """Return a value that changes when the text has to be read again."""
        return None

    def refresh_view(self) -> None:
        """Read the text again if it has changed."""
        super().refresh_view()
        if self.pane.is_attached and self.version() != self._version:
            self._version = self.version()
            self.work(self.load())

    def title_cells(self) -> list[Cell]:
        """Return the heading, and the filter."""
        filtered = [Cell(f"  filter: {self._filter}", "warn")] if self._filter else []
        follows = [Cell("  following", "good")] if self.pane.follows else []
        return [*super().title_cells(), *follows, *filtered]

    def filter_text(self) -> str | None:
        """Return the filter of lines."""
        return self._filter

    def set_filter(self, text: str) -> None:
        """Show only lines with all words of a text."""
        self._filter = text
        self.pane.filter(text)
        self.refresh_view()

    def kubectl_line(self) -> str:
        """Return the line that shows the same."""
        return self._kubectl_line

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self.pane.set_wraps(wraps=not self.pane.wraps)

    def action_follow(self) -> None:
        """Keep the last line in sight, or stay."""
        self.pane.set_follows(follows=not self.pane.follows)
        self.refresh_view()


class LoadedText(TextScreen):
    """A text that a function reads once."""

    def __init__(self, heading: str, read: Callable[[], Awaitable[Sequence[Block]]], *, kubectl_line: str = "") -> None:
        super().__init__(heading, kubectl_line=kubectl_line)
        self._read = read

    async def load(self) -> None:
        """Read the text and show it."""
        self.pane.show(await self._read() or [Line("(nothing)", "dim")])


class HelpScreen(TextScreen):
    """All keys of a screen, and those that work everywhere."""

    def __init__(self, sections: Sequence[str]) -> None:
        super().__init__("Help")
        self._sections = sections

    async def load(self) -> None:
        """Show the keys."""
        lines: list[Line] = []
        for section in dict.fromkeys(self._sections):
            lines += [Line(section.upper(), "strong")]
            lines += [Line(f"  {key.shown:<10} {key.words}") for key in keys.SECTIONS[section]]
            lines += [Line()]
        self.pane.show(lines)

"""The lines that say what was done, or why not."""

from sympozium_cli.tui.views.lines import Line, wrapped
from sympozium_cli.tui.widgets.text_pane import TextPane

_MOST_LINES = 4


class StatusLine(TextPane, can_focus=False):
    """One line, or some more for a long sentence."""

    DEFAULT_CSS = """
    StatusLine { height: 1; }
    """

    def say(self, line: Line) -> None:
        """Show a sentence in place of the one before."""
        self.styles.height = min(_MOST_LINES, len(list(wrapped(line.text, max(1, self.size.width - 2)))) or 1)
        self.show([line])

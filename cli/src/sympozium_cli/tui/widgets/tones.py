"""Styles of the tones that views give their texts."""

from rich.segment import Segment
from rich.style import Style
from textual.widget import Widget

from sympozium_cli.plain_text import plain
from sympozium_cli.tui.views.columns import Tone

TONE_CLASSES = frozenset({"tone-good", "tone-bad", "tone-warn", "tone-dim", "tone-strong"})
TONE_CSS = """
    .tone-good { color: $text-success; }
    .tone-bad { color: $text-error; }
    .tone-warn { color: $text-warning; }
    .tone-dim { text-style: dim; }
    .tone-strong { text-style: bold; }
"""
_NONE = Style()


def segments(text: str, style: Style) -> list[Segment]:
    """Return a text as segments. The last place before the terminal: what is no plain text by now becomes it.

    Blanks at the beginning are a segment of their own, which pictures of the screen would lose.
    """
    text = plain(text)
    rest = text.lstrip(" ")
    blanks = len(text) - len(rest)
    return [Segment(" " * blanks, style), Segment(rest, style)] if blanks and rest else [Segment(text, style)]


def tone_style(widget: Widget, tone: Tone) -> Style:
    """Return the style of a tone in a widget's theme."""
    return widget.get_component_rich_style(f"tone-{tone}", partial=True) if tone else _NONE

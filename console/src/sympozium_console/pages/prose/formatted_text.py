"""Formatted text: whole, or block by block while it grows.

Markdown is rendered in a thread, because a page of it takes tens of milliseconds.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sympozium_console.pages.prose.markdown_rendering import complete_lines, rendered
from sympozium_console.pages.prose.visible_signs import encodable

MOST_CHARACTERS = 64 * 1024
"""Characters of a text that are formatted unless a reader asks for all of them."""
MOST_ON_REQUEST = 1024 * 1024
"""Characters of a text that are formatted at all."""
_GROWTH = 8
"""An unfinished text is looked at again when it has grown by an eighth, so that the work stays in proportion to its length."""
_CHUNK = 2000
"""Characters of plain text after which another piece begins, at the next line."""
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)")
"""A line, as CommonMark ends lines. Texts have to end with one: a rest would be read again from each of its characters."""


@dataclass(frozen=True)
class FormattedText:
    """A text of which the front is formatted."""

    html: Markup
    plain: str = ""
    """The rest, as it was written."""

    @property
    def chunks(self) -> list[str]:
        """The rest in pieces of whole lines, which a browser lays out one by one."""
        found, at = list[str](), 0
        while at < len(self.plain):
            end = self.plain.find("\n", at + _CHUNK) + 1 or len(self.plain)
            found.append(self.plain[at:end])
            at = end
        return found


async def formatted(text: str, most: int = MOST_CHARACTERS) -> FormattedText:
    """Return a text with its first ``most`` characters formatted, as far as they are whole blocks."""
    return await asyncio.to_thread(_formatted, encodable(text), most)


def _formatted(text: str, most: int) -> FormattedText:
    if len(text) <= most:
        return FormattedText(_trusted(rendered(text, {})))
    front = complete_length(text[:most])
    return FormattedText(_trusted(rendered(text[:front], {})), text[front:])


def complete_length(text: str) -> int:
    """Return the characters of a growing text that are complete blocks. Its last line may be incomplete."""
    rest = text[max(text.rfind("\n"), text[:-1].rfind("\r")) + 1 :]  # a \r at the end may be half of a \r\n
    lines = _LINE.findall(text[: len(text) - len(rest)])
    return sum(map(len, lines[: complete_lines(lines)]))


class GrowingText:
    """A text that comes piece by piece: its complete blocks as HTML, and its open end as it was written."""

    def __init__(self, most: int = MOST_CHARACTERS) -> None:
        self.open = ""
        """Text after the last complete block."""
        self.has_definitions = False
        """True if links are defined in the text: blocks that came before their definitions lack them."""
        self._left = most
        self._definitions: dict[str, Any] = {}
        self._look_at = 1

    async def add(self, text: str) -> Markup:
        """Return the HTML of the blocks that a piece completes; empty: of none."""
        self.open += encodable(text)
        if "\n" not in text or len(self.open) < self._look_at or not self._left:
            return Markup()
        return await asyncio.to_thread(self._complete)

    async def end(self) -> Markup:
        """Return the HTML of the last blocks, once the text is complete. What is beyond the bound stays in ``open``."""
        return await asyncio.to_thread(self._complete, has_ended=True) if self._left else Markup()

    def _complete(self, *, has_ended: bool = False) -> Markup:
        is_within = len(self.open) <= self._left
        length = len(self.open) if has_ended and is_within else complete_length(self.open[: self._left])
        html = rendered(self.open[:length], self._definitions) if length else ""
        self.has_definitions = bool(self._definitions)
        self.open = self.open[length:]
        self._left = self._left - length if is_within else 0
        self._look_at = len(self.open) + max(1, len(self.open) // _GROWTH)
        return _trusted(html)


def _trusted(html: str) -> Markup:
    return Markup(html)  # noqa: S704 - cleaned against a list of what is allowed

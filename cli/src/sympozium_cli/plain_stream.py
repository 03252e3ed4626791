"""Text that arrives in pieces, made safe for a terminal as ``plain_text`` does, wherever a piece ends."""

import re

from sympozium_cli.plain_text import plain_lines

_OPEN = re.compile(
    r"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*\x1b?|\x1b[ -/]*|\r)\Z"
)
"""End of a text that may be the beginning of an escape sequence, or of a line's end."""
_LONGEST = 4096
"""Characters after which a sequence that does not end is given up: the text behind it is not to wait for ever."""


class PlainStream:
    """Pieces of one text."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what can be shown of the text so far, and has not been returned."""
        text = self._held + piece
        found = _OPEN.search(text, max(0, len(text) - _LONGEST))
        self._held = text[found.start() :] if found else ""
        return "\n".join(plain_lines(text[: found.start()] if found else text))

    def end(self) -> str:
        """Return the rest of the text."""
        rest, self._held = self._held, ""
        return "\n".join(plain_lines(rest))

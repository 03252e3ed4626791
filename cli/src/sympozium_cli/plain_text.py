"""Text of models, users and objects, made safe for a terminal. Whatever it holds, the terminal shows it and does nothing else."""

import re
from typing import Any

_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, erasing
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]?"  # other escape sequences, and an escape alone
)
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and newline, C1
    r"\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"  # bidi controls, what has no width
    r"\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"  # halves of surrogate pairs, tags
)
_SHOWN = "\ufffd"
"""The sign that stands where a character was that no terminal should act on."""
_TAB = 4


def plain_lines(text: Any) -> list[str]:
    """Return the lines of a text without escape sequences; of control and bidi characters a sign shows where they were."""
    clean = str(text).replace("\r\n", "\n")
    if "\x1b" in clean or not clean.isprintable():
        clean = _CONTROLS.sub(_SHOWN, _SEQUENCES.sub("", clean))
    return [line.expandtabs(_TAB) if "\t" in line else line for line in clean.split("\n")]


def plain_copy(text: str) -> str:
    """Return a text for the clipboard, with its tabs. Without escape sequences it cannot end a terminal's paste and run as a command."""
    return "\t".join("\n".join(plain_lines(piece)) for piece in text.split("\t"))


def plain(text: Any) -> str:
    """Return a text as one line, as ``plain_lines`` makes its lines."""
    return " ".join(plain_lines(text))

"""Results of tools, as the egress guard sends and agents read them: their size, and the words for a call that was not made.

Standard library only, because the agent imports this module.
"""

from __future__ import annotations

MAX_RESULT_BYTES = 64 * 1024
"""Bytes of a result that the model is told, in UTF-8."""
MAX_SENT_BYTES = MAX_RESULT_BYTES - 128
"""Bytes of a result that the guard sends, so that its mark of what was cut is within ``MAX_RESULT_BYTES``."""
MAX_ANSWER_BYTES = 8 * MAX_RESULT_BYTES
"""Longest answer of the guard: a result of control characters takes six bytes for each in JSON."""

NOT_MADE = "the call was not made: "
"""Beginning of the result, and of the step's error, of a call that reached no tool."""


def cut(text: str, most: int = MAX_RESULT_BYTES) -> str:
    """Return a text of at most so many bytes, with a mark that says how much was cut off."""
    content = text.encode(errors="replace")
    if len(content) <= most:
        return text
    kept = content[:most].decode(errors="ignore")
    return f"{kept}\n[cut: the first {len(kept.encode())} of {len(content)} bytes]"

"""Groq: OpenAI's dialect, with counts and errors of a stream in ``x_groq``."""

from __future__ import annotations

from sympozium_agent.providers.chunk_parser import OpenAIChunks, reported
from sympozium_agent.providers.openai_compat import OpenAICompatible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Chunk = dict[str, Any]


class Groq(OpenAICompatible):
    """One of Groq's models. Groq itself refuses ``n``, ``logprobs``, ``logit_bias`` and ``messages[].name`` with 400."""

    def _translation(self) -> GroqChunks:
        return GroqChunks()


class GroqChunks(OpenAIChunks):
    """Chunks whose count of tokens is where OpenAI's is."""

    def chunks(self, value: Any) -> list[Chunk]:
        """Return the value as a chunk. Raises ModelError."""
        own = value.get("x_groq") if isinstance(value, dict) else None
        if not isinstance(own, dict):
            return super().chunks(value)
        if own.get("error"):
            raise reported({"error": own["error"]})
        plain = {name: inner for name, inner in value.items() if name != "x_groq"}
        if isinstance(own.get("usage"), dict) and not plain.get("usage"):
            plain["usage"] = own["usage"]
        return super().chunks(plain)

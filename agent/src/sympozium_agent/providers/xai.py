"""xAI: OpenAI's dialect, whose count of an answer's tokens leaves out those of its reasoning."""

from __future__ import annotations

from sympozium_agent.providers.chunk_parser import OpenAIChunks
from sympozium_agent.providers.members import refuse
from sympozium_agent.providers.openai_compat import OpenAICompatible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Object = dict[str, Any]


class XAI(OpenAICompatible):
    """One of xAI's models. xAI itself refuses ``stop`` and the penalties for its reasoning models."""

    def _edited(self, request: dict[str, str]) -> dict[str, str]:
        refuse(request, ("logit_bias",), "xAI")
        return request

    def _translation(self) -> XAIChunks:
        return XAIChunks()


class XAIChunks(OpenAIChunks):
    """Chunks whose count of the answer's tokens has those of the reasoning, as OpenAI counts."""

    def chunks(self, value: Any) -> list[Object]:
        """Return the value as a chunk. Raises ModelError."""
        chunks = super().chunks(value)
        for chunk in chunks:
            if isinstance(usage := chunk.get("usage"), dict):
                chunk["usage"] = _counted(usage)
        return chunks


def _counted(usage: Object) -> Object:
    details = usage.get("completion_tokens_details")
    reasoning = details.get("reasoning_tokens") if isinstance(details, dict) else None
    counts: tuple[Any, ...] = tuple(usage.get(f"{name}_tokens") for name in ("prompt", "completion", "total"))
    if not all(type(count) is int for count in (reasoning, *counts)):
        return usage
    prompt, completion, total = counts
    is_left_out = prompt + completion + reasoning == total
    return usage | {"completion_tokens": completion + reasoning} if is_left_out else usage

"""Ollama: OpenAI's dialect below ``/v1``. What Ollama would ignore is refused."""

from __future__ import annotations

from sympozium_agent.providers.members import (
    NOTES,
    refuse,
    refuse_several,
    renamed,
    unsupported,
    value_of,
    without,
)
from sympozium_agent.providers.openai_compat import OpenAICompatible
from sympozium_agent.providers.openai_messages import edited, needs_system_role, with_system_role
from sympozium_api.agent_protocol import leaf_url

_VENDOR = "Ollama"
_IGNORED = ("logit_bias", "functions", "service_tier", "modalities", "audio")


class Ollama(OpenAICompatible):
    """One model of an Ollama server, whose address may leave out ``/v1``."""

    def _url(self, request: dict[str, str]) -> str:
        leaf = "chat/completions" if "messages" in request else "completions"
        path = self._base_url.partition("#")[0].partition("?")[0].rstrip("/")
        return leaf_url(self._base_url, leaf if path.endswith("/v1") else f"v1/{leaf}")

    def _edited(self, request: dict[str, str]) -> dict[str, str]:
        refuse_several(request, _VENDOR)
        refuse(request, _IGNORED, _VENDOR)
        request = _without_choice(without(request, NOTES - {"stream_options"}))
        request = renamed(request, "max_completion_tokens", "max_tokens")
        return edited(request, with_system_role) if needs_system_role(request) else request


def _without_choice(request: dict[str, str]) -> dict[str, str]:
    """Return a request without ``tool_choice``, which Ollama ignores: ``none`` is said by offering no tools."""
    choice = value_of(request, "tool_choice")
    if choice not in (None, "auto", "none"):
        raise unsupported("tool_choice", "must be auto or none, because Ollama cannot force a call.")
    return without(request, ("tool_choice", "tools") if choice == "none" else ("tool_choice",))

"""Mistral: OpenAI's dialect, strict about unknown fields and about the ids of tool calls."""

from __future__ import annotations

import re

from sympozium_agent.providers.members import NOTES, refuse, renamed, without
from sympozium_agent.providers.openai_compat import OpenAICompatible
from sympozium_agent.providers.openai_messages import edited, with_system_role

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Object = dict[str, Any]

_VENDOR = "Mistral"
_UNKNOWN = ("logit_bias", "logprobs", "top_logprobs", "service_tier", "verbosity", "modalities", "audio")
_LEFT_OUT = (NOTES | {"logit_bias", "logprobs", "top_logprobs"}) - {"metadata"}
_ID = re.compile("[A-Za-z0-9]{9}")
_FIELDS = {
    "assistant": ("role", "content", "tool_calls", "prefix"),
    "tool": ("role", "content", "tool_call_id", "name"),
    "system": ("role", "content"),
    "user": ("role", "content"),
}
"""Fields of each role's messages. Mistral refuses a request with any other one."""


class Mistral(OpenAICompatible):
    """One of Mistral's models."""

    def _edited(self, request: dict[str, str]) -> dict[str, str]:
        refuse(request, _UNKNOWN, _VENDOR)
        request = renamed(without(request, _LEFT_OUT), "max_completion_tokens", "max_tokens")
        return edited(renamed(request, "seed", "random_seed"), lambda messages: _messages(with_system_role(messages)))

    def _stream_options(self, _: dict[str, str], /) -> dict[str, str]:
        return {}  # refused as unknown; the last chunk has the count unasked


def _messages(messages: list[Object]) -> list[Object]:
    return [_message(message) for message in messages]


def _message(message: Object) -> Object:
    """Return a message with the fields that Mistral knows: nothing of it is the text of anyone."""
    known = _FIELDS.get(str(message.get("role")))
    kept = {name: value for name, value in message.items() if known is None or name in known}
    if isinstance(identity := kept.get("tool_call_id"), str):
        kept["tool_call_id"] = short_id(identity)
    if isinstance(calls := kept.get("tool_calls"), list):
        kept["tool_calls"] = [_call(call) for call in calls]
    return kept


def _call(call: Any) -> Any:
    if not isinstance(call, dict) or not isinstance(identity := call.get("id"), str):
        return call
    return {name: value for name, value in call.items() if name in ("function", "type")} | {"id": short_id(identity)}


def short_id(given: str) -> str:
    """Return the id of a call as Mistral takes it: nine letters or digits, the same for the same id."""
    if _ID.fullmatch(given):
        return given
    from hashlib import sha256  # noqa: PLC0415 - only for calls of other vendors' models

    return sha256(given.encode(errors="replace")).hexdigest()[:9]

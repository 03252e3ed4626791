"""OpenAI-compatible model servers: streamed chat completions, or legacy completions of a prompt."""

from __future__ import annotations

import json

from sympozium_agent.providers.http_provider import HttpProvider
from sympozium_api.agent_protocol import leaf_url
from sympozium_api.json_members import compact, join_members


class OpenAICompatible(HttpProvider):
    """One model of a server that speaks OpenAI's dialect. Vendors with oddities change the request or the chunks."""

    def _call(self, request: dict[str, str]) -> tuple[str, str]:
        edited = self._edited(request)
        return self._url(edited), join_members(edited | {"stream": "true"} | self._stream_options(edited))

    def _url(self, request: dict[str, str]) -> str:
        return leaf_url(self._base_url, "chat/completions" if "messages" in request else "completions")

    def _edited(self, request: dict[str, str]) -> dict[str, str]:
        """Return the request in the vendor's own words. Raises ModelError with status 400."""
        return request

    def _stream_options(self, request: dict[str, str], /) -> dict[str, str]:
        """Return the member that asks for a count of tokens; empty where the vendor counts unasked."""
        options = (json.loads(request.get("stream_options", "null")) or {}) | {"include_usage": True}
        return {"stream_options": compact(options)}

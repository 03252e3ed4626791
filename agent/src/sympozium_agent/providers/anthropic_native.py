"""Anthropic's Messages API."""

from __future__ import annotations

from sympozium_agent.providers.anthropic_answer import AnthropicAnswer
from sympozium_agent.providers.anthropic_request import translate
from sympozium_agent.providers.http_provider import HttpProvider
from sympozium_api.agent_protocol import leaf_url
from sympozium_api.json_members import compact

VERSION = "2023-06-01"
"""Version of the API that the translation is made for."""


class Anthropic(HttpProvider):
    """One of Anthropic's models. The address may leave out ``/v1``."""

    def _own_headers(self, key: str | None) -> dict[str, str]:
        version = self._target.get("apiVersion") or VERSION
        return {"anthropic-version": version} | ({"x-api-key": key} if key else {})

    def _call(self, request: dict[str, str]) -> tuple[str, str]:
        path = self._base_url.partition("#")[0].partition("?")[0].rstrip("/")
        url = leaf_url(self._base_url, "messages" if path.endswith("/v1") else "v1/messages")
        return url, compact(translate(request) | {"stream": True})

    def _translation(self) -> AnthropicAnswer:
        return AnthropicAnswer()

"""Gemini's ``streamGenerateContent``."""

from __future__ import annotations

import re

from sympozium_agent.providers.gemini_answer import GeminiAnswer
from sympozium_agent.providers.gemini_request import translate
from sympozium_agent.providers.http_provider import HttpProvider
from sympozium_agent.providers.members import value_of
from sympozium_agent.transport.url import path_segment
from sympozium_api.agent_protocol import leaf_url
from sympozium_api.json_members import compact

_FOLDERS = ("models/", "tunedModels/")
"""Beginnings of full names of models; a name without one is below the first."""


class Gemini(HttpProvider):
    """One of Google's models. The address ends with the API's version, or has none: then it is ``v1beta``."""

    def _own_headers(self, key: str | None) -> dict[str, str]:
        return {"x-goog-api-key": key} if key else {}

    def _call(self, request: dict[str, str]) -> tuple[str, str]:
        body = compact(translate(request))
        base, mark, query = self._base_url.partition("#")[0].partition("?")
        url = leaf_url(
            f"{base}?{query}&alt=sse" if mark else f"{base}?alt=sse", self._leaf(base, value_of(request, "model"))
        )
        return url, body

    def _leaf(self, base: str, model: object) -> str:
        name = model if isinstance(model, str) else ""
        folder = next((folder for folder in _FOLDERS if name.startswith(folder)), "")
        path = (folder or _FOLDERS[0]) + path_segment(name.removeprefix(folder))
        has_version = re.search("/v[0-9][a-z0-9]*/?", base.partition("://")[2])
        return f"{'' if has_version else 'v1beta/'}{path}:streamGenerateContent"

    def _translation(self) -> GeminiAnswer:
        return GeminiAnswer()

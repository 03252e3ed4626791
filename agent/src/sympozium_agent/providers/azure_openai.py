"""Azure OpenAI: OpenAI's dialect at a deployment's address, with the key in a header of its own."""

from __future__ import annotations

from sympozium_agent.providers.members import value_of
from sympozium_agent.providers.openai_compat import OpenAICompatible
from sympozium_agent.transport.url import path_segment
from sympozium_api.agent_protocol import leaf_url

DEFAULT_API_VERSION = "2024-10-21"
"""Newest version of the API of deployments that is no preview."""
_COUNTS_SINCE = "2024-09-01"
"""First version that knows ``stream_options``, by its date."""


class AzureOpenAI(OpenAICompatible):
    """One deployment, which the request's ``model`` names.

    The address is the resource's; one that ends with ``/openai/v1`` has no deployments in its paths, and one that names a
    deployment is called as it is.
    """

    def _own_headers(self, key: str | None) -> dict[str, str]:
        return {"api-key": key} if key else {}

    def _url(self, request: dict[str, str]) -> str:
        leaf = "chat/completions" if "messages" in request else "completions"
        path, mark, query = self._base_url.partition("#")[0].partition("?")
        path = path.rstrip("/")
        if not path.endswith("/openai/v1") and "/deployments/" not in path:
            path = path.removesuffix("/openai")
            leaf = f"openai/deployments/{path_segment(str(value_of(request, 'model')))}/{leaf}"
        version = self._version(path, query)
        queries = [part for part in (query, f"api-version={version}" if version else "") if part]
        return (
            leaf_url(path + ("?" + "&".join(queries) if queries else ""), leaf)
            if mark or queries
            else leaf_url(path, leaf)
        )

    def _version(self, path: str, query: str) -> str:
        """Return the version to add to the query: none if it is there, and for ``/openai/v1`` only one that is set."""
        if any(part.startswith("api-version=") for part in query.split("&")):
            return ""
        default = "" if path.endswith("/openai/v1") else DEFAULT_API_VERSION
        return self._target.get("apiVersion") or default

    def _stream_options(self, request: dict[str, str], /) -> dict[str, str]:
        version = self._target.get("apiVersion") or DEFAULT_API_VERSION
        is_dated = version[:2] == "20" and version < _COUNTS_SINCE
        return {} if is_dated else super()._stream_options(request)

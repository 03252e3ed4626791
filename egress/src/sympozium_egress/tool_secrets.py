"""Secrets of tools: read again for each call, and held by nobody."""

import base64
import binascii
import json
from dataclasses import dataclass, replace
from typing import Self

from sympozium_api.client import ApiError, Client
from sympozium_api.names import LABEL_TOOL_KEY, TOOL_SECRETS
from sympozium_api.resources import SECRETS, Object
from sympozium_egress.policy.call_policy import CallRefused


@dataclass(frozen=True)
class ToolSecret:
    """The entries of a Secret, decoded."""

    name: str
    version: str
    """Resource version, which changes with the content."""
    entries: dict[str, str]

    def entry(self, *keys: str) -> str:
        """Return the first of these entries that has a value. Raises CallRefused if none has."""
        for key in keys:
            if value := self.entries.get(key):
                return value
        raise CallRefused(f"the Secret {self.name} has no entry {' or '.join(keys)}")

    def parsed(self, *keys: str) -> Self:
        """Return the texts in the JSON object of the first of these entries as a Secret's entries. Raises CallRefused."""
        text = self.entry(*keys)
        try:
            members = json.loads(text)
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, dict):
            raise CallRefused(f"the entry {' or '.join(keys)} of the Secret {self.name} is no JSON object")
        texts = {key: value for key, value in members.items() if isinstance(value, str)}
        return replace(self, name=f"{self.name} ({' or '.join(keys)})", entries=texts)


class ToolSecrets:
    """Reader of the Secrets that Tools and ToolBindings name."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def of_tool(self, namespace: str, name: str) -> ToolSecret:
        """Return the Secret of a Tool, which must have the label. Raises CallRefused, ApiUnavailable."""
        body = await self._read(namespace, name)
        if (body["metadata"].get("labels") or {}).get(LABEL_TOOL_KEY) != "true":
            raise CallRefused(f'the Secret {name} lacks the label {LABEL_TOOL_KEY}: "true"')
        return _decoded(name, body)

    async def of_namespace(self, namespace: str) -> ToolSecret:
        """Return the namespace's Secret ``tool-secrets``. Raises CallRefused, ApiUnavailable."""
        return _decoded(TOOL_SECRETS, await self._read(namespace, TOOL_SECRETS))

    async def _read(self, namespace: str, name: str) -> Object:
        try:
            body = await self._client.find(SECRETS, namespace, name)
        except ApiError:
            raise CallRefused(f"the Secret {name} may not be read yet") from None
        if body is None:
            raise CallRefused(f"there is no Secret {name}")
        return body


def _decoded(name: str, body: Object) -> ToolSecret:
    entries = {}
    for key, value in (body.get("data") or {}).items():
        try:
            entries[key] = base64.b64decode(value, validate=True).decode().strip()
        except (binascii.Error, ValueError):
            continue  # no text: no header can hold it
    return ToolSecret(name, body["metadata"].get("resourceVersion", ""), entries)

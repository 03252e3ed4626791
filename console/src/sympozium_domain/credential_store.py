"""Store of credentials that callers send: they come in and are never read back (decision 0071)."""

from collections.abc import Mapping
from dataclasses import dataclass

from sympozium_api import credentials
from sympozium_api.client import Client
from sympozium_api.resources import CONFIG_MAPS, SECRETS


@dataclass(frozen=True)
class CredentialStore:
    """Creator of Secrets, with the right to create alone."""

    client: Client

    async def add(self, namespace: str, entries: Mapping[str, bytes], *, for_tools: bool = False) -> str:
        """Store the entries of a Secret, and return its name, which is new. ``for_tools``: a Tool's webhook may name the Secret.

        The caller has ten minutes to name the Secret in an object; else the operator removes it. Changed credentials are another
        Secret, whose name replaces the former one. Answers of the API server come without the content.

        Raises ApiError, ApiUnavailable: nothing is stored, but for what the operator removes.
        """
        owner = credentials.owner(namespace, credentials.new_name())
        created = await self.client.create(CONFIG_MAPS, namespace, owner, metadata_only=True)
        secret = credentials.secret(created, entries, for_tools=for_tools)
        await self.client.create(SECRETS, namespace, secret, metadata_only=True)
        name: str = created["metadata"]["name"]
        return name

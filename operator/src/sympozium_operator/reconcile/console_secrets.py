"""Secrets of an installation's console: generated if they are missing, and never changed or read (decision 0054)."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sympozium_api import environment, names
from sympozium_api.client import ApiError, Client
from sympozium_api.resources import SECRETS


@dataclass(frozen=True)
class ConsoleSecrets:
    """The Secrets that a console mounts. An empty name: the Secret comes from elsewhere, or there is no console."""

    client: Client
    namespace: str
    """Namespace of the operator and of the console."""
    token: str
    """Name of the Secret with the bearer token of the console's callers."""
    keys: str
    """Name of the Secret with the keys that the console alone uses: the pepper of API keys, and the keys of cookies."""
    platform: str
    """Name of the Secret with the secret of the agent platform's tokens, which others may have, too, to sign tokens."""

    async def keep(self) -> None:
        """Generate the Secrets that do not exist, whoever made the others. Raises ApiError, ApiUnavailable."""
        await self._generate(self.token, _token)
        await self._generate(self.keys, _keys)
        await self._generate(self.platform, _platform)

    async def _generate(self, name: str, entries: Callable[[], dict[str, bytes]]) -> None:
        if not name or await self.client.find_metadata(SECRETS, self.namespace, name):
            return
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace, "labels": names.labels("console")},
            "data": {entry: base64.b64encode(value).decode() for entry, value in entries().items()},
        }
        try:
            await self.client.create(SECRETS, self.namespace, body, metadata_only=True)
        except ApiError as error:
            if not error.already_exists:
                raise


def _token() -> dict[str, bytes]:
    return {environment.CONSOLE_TOKEN_PREFIX: secrets.token_hex(24).encode()}


def _keys() -> dict[str, bytes]:
    """Return the entries of the Secret with keys: a pepper of 64 hexadecimal digits, and two keys of Fernet."""
    cookie_keys = {name: base64.urlsafe_b64encode(secrets.token_bytes(32)) for name in environment.COOKIE_KEYS}
    return {environment.API_KEY_PEPPER: secrets.token_hex(32).encode()} | cookie_keys


def _platform() -> dict[str, bytes]:
    return {environment.JWT_SECRET: secrets.token_hex(32).encode()}

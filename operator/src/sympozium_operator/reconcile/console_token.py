"""Secret with the console's token: generated if it is missing, and never changed or read."""

import base64
import secrets
from dataclasses import dataclass

from sympozium_api import environment, names
from sympozium_api.client import ApiError, Client
from sympozium_api.resources import SECRETS


@dataclass(frozen=True)
class ConsoleToken:
    """The Secret that an installation's console mounts."""

    client: Client
    namespace: str
    """Namespace of the operator and of the console."""
    secret: str
    """Name of the Secret; empty: the token comes from elsewhere, or there is no console."""

    async def keep(self) -> None:
        """Generate the Secret if it does not exist, whoever made it. Raises ApiError, ApiUnavailable."""
        if not self.secret or await self.client.find_metadata(SECRETS, self.namespace, self.secret):
            return
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.secret, "namespace": self.namespace, "labels": names.labels("console")},
            "data": {environment.CONSOLE_TOKEN_PREFIX: base64.b64encode(secrets.token_hex(24).encode()).decode()},
        }
        try:
            await self.client.create(SECRETS, self.namespace, body)
        except ApiError as error:
            if not error.already_exists:
                raise

"""The generated API keys: made once, never changed, and looked after without the right to list or watch Secrets."""

import secrets

from sympozium_api import environment, names
from sympozium_api.client import Client
from sympozium_api.client.resources import SECRETS
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import converge
from sympozium_operator.desired import access
from sympozium_operator.outcome import Key


class GeneratedKeys:
    """Makes and repairs the Secret of each server run, and remembers in which version it left it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._left: dict[tuple[str, str], str] = {}
        """Resource versions by namespace and run."""

    async def ensure(self, run: AgentRun) -> None:
        """There is a Secret, it belongs to the run, and it has an entry ``api-key``. What else is in it is its editor's."""
        namespace, name = run.metadata.namespace, names.api_key_secret(run.metadata.name)
        live = await self._client.find(SECRETS, namespace, name)
        if live is None:
            live = await self._client.create(SECRETS, namespace, access.api_key(run, _token))
        else:
            [live] = await converge(self._client, [access.api_key_head(run)])
            if environment.API_KEY_PREFIX not in (live.get("data") or {}):
                patch = {"data": access.api_key(run, _token)["data"]}
                live = await self._client.patch(SECRETS, namespace, name, patch)
        self._left[run.key] = live["metadata"]["resourceVersion"]

    def leave(self, run: AgentRun) -> None:
        """The instance names a Secret of its own now."""
        self._left.pop(run.key, None)

    async def changed(self) -> list[Key]:
        """The server runs whose Secret is not as it was left. Each is told once: the look that follows remembers it again."""
        found = []
        for (namespace, run), version in list(self._left.items()):
            live = await self._client.find(SECRETS, namespace, names.api_key_secret(run))
            if live is None or live["metadata"]["resourceVersion"] != version:
                self._left.pop((namespace, run), None)
                found.append(Key("run", namespace, run))
        return found


def _token() -> str:
    return secrets.token_hex(24)

"""Secrets with API keys: generated ones are made once and repaired; all are polled, because there is no right to list Secrets."""

import secrets
from dataclasses import dataclass

from sympozium_api import environment, names
from sympozium_api.client import Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import SECRETS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import Converger
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.desired import rbac
from sympozium_operator.policy import event_messages
from sympozium_operator.reconcile.version_poll import VersionPoll
from sympozium_operator.result import Key


@dataclass(frozen=True)
class ApiKeySecrets:
    """Secrets of all server runs."""

    client: Client
    converge: Converger
    events: EventRecorder
    poll: VersionPoll

    async def generated(self, run: AgentRun, instance: SympoziumInstance) -> Object:
        """Return the generated Secret: it exists, belongs to the run, and has an entry ``api-key``. Other entries are its editor's."""
        namespace, name = run.metadata.namespace, names.api_key_secret(run.metadata.name)
        live = await self.client.find(SECRETS, namespace, name)
        if live is not None:
            [live] = await self.converge([rbac.api_key_head(run)], read=[live])
            if environment.API_KEY_PREFIX in (live.get("data") or {}):
                return live
        desired = rbac.api_key(run, lambda: secrets.token_hex(24))
        if live is None:
            live = await self.client.create(SECRETS, namespace, desired)
        else:
            live = await self.client.patch(SECRETS, namespace, name, {"data": desired["data"]})
        await self.events.emit(instance, event_messages.key_generated(name))
        return live

    def remember(self, run: AgentRun, secret: Object) -> None:
        """Remember the version of a Secret of which the run's web-proxies were notified."""
        key = Key("run", *run.key)
        self.poll.forget(key)
        self.poll.remember(key, SECRETS, secret["metadata"]["name"], secret)

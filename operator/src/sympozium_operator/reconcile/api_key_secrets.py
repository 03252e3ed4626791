"""Secrets with API keys: generated ones are made once and repaired; all are checked for changes without the right to list Secrets."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sympozium_api import environment, names
from sympozium_api.client import Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import SECRETS, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import converge
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.cluster.object_guard import CountUnreadable, guarded
from sympozium_operator.desired import rbac
from sympozium_operator.policy import event_messages
from sympozium_operator.result import Key
from sympozium_operator.scheduling.pace import Pace


@dataclass(frozen=True)
class ApiKeySecrets:
    """Secrets of all server runs, with the versions that were last read."""

    client: Client
    events: EventRecorder
    count_unreadable: CountUnreadable
    pace: Pace
    """Pace of the checks, shared with all other polls."""
    _seen: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """Names and resource versions of Secrets, by namespace and run."""

    async def generated(self, run: AgentRun, instance: SympoziumInstance) -> Object:
        """Return the generated Secret: it exists, belongs to the run, and has an entry ``api-key``. Other entries are its editor's."""
        namespace, name = run.metadata.namespace, names.api_key_secret(run.metadata.name)
        live = await self.client.find(SECRETS, namespace, name)
        if live is not None:
            [live] = await converge(self.client, [rbac.api_key_head(run)])
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
        self._seen[run.key] = secret["metadata"]["name"], secret["metadata"]["resourceVersion"]

    def forget(self, run: Key) -> None:
        """Forget a run that is gone."""
        self._seen.pop((run.namespace, run.name), None)

    async def changed(self) -> AsyncIterator[Key]:
        """Yield the server runs whose Secret has changed, each once: the next reconcile remembers its new version."""
        for (namespace, run), (name, version) in list(self._seen.items()):
            await self.pace.step()
            with guarded(self.count_unreadable, SECRETS, {"namespace": namespace, "name": name}):
                live = await self.client.find(SECRETS, namespace, name)
                if live is None or live["metadata"]["resourceVersion"] != version:
                    self._seen.pop((namespace, run), None)
                    yield Key("run", namespace, run)

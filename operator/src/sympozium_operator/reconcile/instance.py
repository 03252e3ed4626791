"""SympoziumInstances: their ServiceAccount, their server run and their status."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from sympozium_api import effective, names
from sympozium_api.client import Client
from sympozium_api.client.resources import INSTANCES, RUNS, SECRETS
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import converge
from sympozium_operator.cluster.events import Events
from sympozium_operator.cluster.packs import web_endpoint_pack
from sympozium_operator.desired import access
from sympozium_operator.desired.server_run import server_run
from sympozium_operator.outcome import DONE, Key, Outcome
from sympozium_operator.policy import instance as policy
from sympozium_operator.policy.conditions import find, merge_patch

Object = dict[str, Any]

log = structlog.get_logger()


@dataclass(frozen=True)
class Instances:
    """Reconciles SympoziumInstances."""

    client: Client
    clock: Clock
    events: Events
    namespace: str
    """The operator's own, where built-in SkillPacks are."""
    turns: Callable[[tuple[str, str]], tuple[Key, ...]]
    """The runs of an instance whose turn has come: its limit may have been raised."""

    async def reconcile(self, key: Key) -> Outcome:
        """One look at an instance."""
        raw = await self.client.find(INSTANCES, key.namespace, key.name)
        if raw is None or raw["metadata"].get("deletionTimestamp"):
            return DONE  # what it owns goes with it
        seen = await self._gather(SympoziumInstance.model_validate(raw))
        plan = policy.decide(seen)
        await self._act(seen, plan)
        await self._report(seen.instance, plan)
        server = Key("run", key.namespace, names.web_endpoint_run(key.name))
        also = (server,) if plan.server_wanted or seen.server else ()
        return Outcome(after=plan.after, also=also + self.turns((key.namespace, key.name)))

    async def _gather(self, instance: SympoziumInstance) -> policy.Input:
        namespace, name = instance.key
        wanted = effective.model(instance).secret
        secret, pack, server = await asyncio.gather(
            self.client.find(SECRETS, namespace, wanted) if wanted else _nothing(),
            web_endpoint_pack(self.client, namespace, self.namespace)
            if effective.web_endpoint_is_on(instance)
            else _nothing(),
            self.client.find(RUNS, namespace, names.web_endpoint_run(name)),
        )
        return policy.Input(
            now=self.clock.now(),
            instance=instance,
            secret=secret,
            pack=pack,
            server=AgentRun.model_validate(server) if server else None,
        )

    async def _act(self, seen: policy.Input, plan: policy.Plan) -> None:
        instance, server = seen.instance, seen.server
        desired = [access.agent_service_account(instance)]
        if plan.server_wanted and not (server and server.ended):
            desired.append(server_run(instance))
        await converge(self.client, desired)
        if server is not None and _is_own(server, instance) and (plan.server_wanted is False or server.ended):
            await self.client.delete(RUNS, *server.key, uid=server.metadata.uid)

    async def _report(self, instance: SympoziumInstance, plan: policy.Plan) -> None:
        before = instance.status.model_dump(by_alias=True, exclude_none=True)
        if patch := merge_patch(before, plan.status):
            await self.client.patch(INSTANCES, *instance.key, {"status": patch}, subresource="status")
            await self._tell(instance, plan.status["conditions"])

    async def _tell(self, instance: SympoziumInstance, conditions: list[Object]) -> None:
        """An Event for what went wrong just now."""
        for condition in conditions:
            before = find(instance.status.conditions, condition["type"])
            news = before is None or (before.status, before.reason) != (condition["status"], condition["reason"])
            if news and condition["status"] == "False" and condition["reason"] != "Starting":
                await self.events.warn(instance, condition["reason"], condition["message"])


def _is_own(run: AgentRun, instance: SympoziumInstance) -> bool:
    return any(owner.uid == instance.metadata.uid for owner in run.metadata.owner_references)


async def _nothing() -> None:
    return None

"""Reconciler of a namespace's Tools and ToolBindings: their conditions, their owners, and the egress guard's right to their Secrets."""

import asyncio
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from sympozium_api import policy_binding
from sympozium_api.base import RECONCILING, Condition, Resource, owner_reference
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.names import EGRESS
from sympozium_api.policy_reader import PolicyReader
from sympozium_api.provider import Provider
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import INSTANCES, PROVIDERS, ROLES, TOOL_BINDINGS, TOOLS, Object, ResourceType
from sympozium_api.timestamps import timestamp
from sympozium_api.tool import Tool
from sympozium_api.tool_binding import IN_FORCE, ToolBinding
from sympozium_operator.cluster.converge import Converger
from sympozium_operator.desired.egress_access import secret_access
from sympozium_operator.policy import tool_plan
from sympozium_operator.policy.conditions import ConditionUpdate, merge_patch, merged
from sympozium_operator.policy.tool_plan import ToolInput, ToolPlan, Verdict
from sympozium_operator.reconcile.tool_reader import bodies, readable
from sympozium_operator.result import Key, Result

log = structlog.get_logger()

R = TypeVar("R", bound=Resource)

ALL = "all"
"""Name in the key of a namespace's Tools and ToolBindings, which are reconciled together."""


@dataclass(frozen=True, kw_only=True)
class ToolReconciler:
    """Reconciles the Tools and ToolBindings of a namespace, all at once, because names and sizes are of all together."""

    client: Client
    converge: Converger
    clock: Clock
    namespace: str
    """Namespace of the operator, where the egress guard is."""
    guard_url: str
    """Base URL of the egress guard; empty: the installation has none."""
    policies: PolicyReader
    _agents: dict[str, frozenset[str]] = field(default_factory=dict)
    """Agents that had ToolBindings at the last reconcile, by namespace: one that lost its last one must be told."""

    async def reconcile(self, key: Key) -> Result:
        """Reconcile a namespace's Tools and ToolBindings."""
        (tools, unreadable), (bindings, _), found = await asyncio.gather(
            self._read(Tool, TOOLS, key.namespace),
            self._read(ToolBinding, TOOL_BINDINGS, key.namespace),
            bodies(self.client, PROVIDERS, key.namespace),
        )
        providers = readable(Provider, found)[0]  # the others are reported by their own reconciler
        agents = await self._instances(key.namespace, {binding.spec.agent_ref for binding in bindings})
        sources = await self.policies.of(key.namespace)
        policies = {name: policy_binding.effective(agent, sources) for name, agent in agents.items()}
        plan = tool_plan.decide(ToolInput(tools, bindings, agents, self.guard_url, unreadable, providers, policies))
        await self._keep_access(key.namespace, plan)
        for binding in plan.deleted:
            await self.client.delete(TOOL_BINDINGS, *binding.key, uid=binding.metadata.uid)
        for tool in tools:
            await self._report(TOOLS, tool, plan.tools[tool.metadata.name])
        for binding in bindings:
            if binding not in plan.deleted:
                await self._own(binding, agents.get(binding.spec.agent_ref))
                await self._report(TOOL_BINDINGS, binding, plan.bindings[binding.metadata.name])
        return Result(enqueue=self._changed(key.namespace, frozenset(agents), plan))

    async def _instances(self, namespace: str, wanted: set[str]) -> dict[str, SympoziumInstance]:
        found = await asyncio.gather(*(self.client.find(INSTANCES, namespace, name) for name in sorted(wanted)))
        instances = {}
        for body in found:
            if body is not None and not body["metadata"].get("deletionTimestamp"):
                try:
                    instances[body["metadata"]["name"]] = read(SympoziumInstance, body)
                except Unreadable:
                    continue  # its own reconciler reports it
        return instances

    async def _read(self, model: type[R], kind: ResourceType, namespace: str) -> tuple[list[R], frozenset[str]]:
        """Return the readable objects, and the names of the others, which are reported."""
        objects, failures = readable(model, await bodies(self.client, kind, namespace))
        for body, failure in failures:
            update = ConditionUpdate(IN_FORCE, ok=False, reason="InvalidSpec", message=failure.fields)
            await self._write(kind, body, update, None)
        return objects, frozenset(body["metadata"]["name"] for body, _ in failures)

    async def _keep_access(self, namespace: str, plan: ToolPlan) -> None:
        if plan.secrets or await self.client.find(ROLES, namespace, EGRESS) is not None:
            await self.converge(secret_access(namespace, self.namespace, plan.secrets))

    async def _own(self, binding: ToolBinding, instance: SympoziumInstance | None) -> None:
        """Let the instance own a ToolBinding, alone: a second owner would keep it alive. One that a restore has created again since it
        was read gets its owner later: Kubernetes would delete it with its former one. What an admission policy refuses is logged, because
        it must not keep the namespace's other objects from being reconciled.
        """
        if instance is None:
            return
        wanted = {**owner_reference(instance), "controller": False}
        owners = [owner.uid for owner in binding.metadata.owner_references]
        if owners != [instance.metadata.uid]:
            metadata = {"uid": binding.metadata.uid, "ownerReferences": [wanted]}
            try:
                await self.client.patch(TOOL_BINDINGS, *binding.key, {"metadata": metadata})
            except ApiError as error:
                if error.not_found or error.other_uid:
                    return
                if not error.invalid:
                    raise
                log.warning(
                    "ToolBinding not given to its instance: the API server refuses it",
                    namespace=binding.metadata.namespace,
                    binding=binding.metadata.name,
                    message=error.message,
                )

    async def _report(self, kind: ResourceType, resource: Tool | ToolBinding, verdict: Verdict) -> None:
        body = {
            "metadata": _address(resource),
            "status": resource.status.model_dump(by_alias=True, exclude_none=True),
        }
        await self._write(kind, body, verdict.condition, verdict.function)

    async def _write(self, kind: ResourceType, body: Object, update: ConditionUpdate, function: str | None) -> None:
        before = body.get("status") or {}
        conditions = [Condition.model_validate(each) for each in before.get("conditions") or []]
        generation = body["metadata"].get("generation", 0)
        now = timestamp(self.clock.now())
        seen = (RECONCILING,)  # the CRD's default, until the operator has seen the object
        after: Object = {"conditions": merged(conditions, [update], generation=generation, now=now, without=seen)}
        after |= {"function": function} if function else {}
        if patch := merge_patch(before, after):
            try:
                metadata = body["metadata"]
                await self.client.patch(
                    kind, metadata["namespace"], metadata["name"], {"status": patch}, subresource="status"
                )
            except ApiError as error:
                if not error.not_found:
                    raise

    def _changed(self, namespace: str, agents: frozenset[str], plan: ToolPlan) -> tuple[Key, ...]:
        """Return the instances whose document is stale, and those that lost their last ToolBinding."""
        former = self._agents.get(namespace, frozenset())
        self._agents[namespace] = agents
        return tuple(Key("instance", namespace, name) for name in sorted(plan.stale | (former - agents)))


def _address(resource: Resource) -> Object:
    metadata = resource.metadata
    return {"namespace": metadata.namespace, "name": metadata.name, "generation": metadata.generation}

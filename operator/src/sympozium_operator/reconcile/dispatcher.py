"""Dispatch of keys to the reconciler of their kind."""

from dataclasses import dataclass, replace

from sympozium_api import names
from sympozium_api.base import Resource
from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import CONFIGS, INSTANCES, POLICIES, PROVIDERS, RUNS, SKILL_PACKS, TOOLS, ResourceType
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.cluster.repairs import Repairs
from sympozium_operator.operator_metrics import OperatorMetrics
from sympozium_operator.policy import event_messages
from sympozium_operator.policy.event_messages import EventMessage
from sympozium_operator.reconcile.config_reconciler import ConfigReconciler
from sympozium_operator.reconcile.instance_reconciler import InstanceReconciler
from sympozium_operator.reconcile.policy_reconciler import PolicyReconciler
from sympozium_operator.reconcile.pool_reconciler import PoolReconciler
from sympozium_operator.reconcile.provider_reconciler import ProviderReconciler
from sympozium_operator.reconcile.run_reconciler import RunReconciler
from sympozium_operator.reconcile.server_run_reconciler import ServerRunReconciler
from sympozium_operator.reconcile.skill_pack_reconciler import SkillPackReconciler
from sympozium_operator.reconcile.tool_reconciler import ToolReconciler
from sympozium_operator.reconcile.unreadable_objects import UnreadableObjects
from sympozium_operator.result import DONE, Key, KeyKind, NameTaken, RepairDelayed, Result, RetryLater

_KINDS: dict[KeyKind, ResourceType] = {
    "instance": INSTANCES,
    "pool": INSTANCES,
    "run": RUNS,
    "skillpack": SKILL_PACKS,
    "config": CONFIGS,
    "tools": TOOLS,
    "provider": PROVIDERS,
    "policy": POLICIES,
}
"""Kind of the object of a key. The key of a namespace's tools names no object."""


@dataclass(frozen=True, kw_only=True)
class Dispatcher:
    """Reconciler of every key; the work queue calls it."""

    client: Client
    metrics: OperatorMetrics
    events: EventRecorder
    repairs: Repairs
    unreadable_objects: UnreadableObjects
    instances: InstanceReconciler
    runs: RunReconciler
    servers: ServerRunReconciler
    skill_packs: SkillPackReconciler
    configs: ConfigReconciler
    pools: PoolReconciler
    tools: ToolReconciler
    providers: ProviderReconciler
    policies: PolicyReconciler

    async def __call__(self, key: Key) -> Result:
        """Reconcile the object that a key names."""
        try:
            return await self._with_repairs(key)
        except ApiError as refusal:
            if refusal.final:
                await self._show(key, event_messages.write_refused(refusal.message))
            raise
        except Unreadable as failure:
            self.metrics.count_unreadable(failure.kind)
            await self._show(key, event_messages.unreadable(str(failure)), failure)
            raise RetryLater(str(failure)) from failure
        except NameTaken as failure:
            await self._show(key, event_messages.name_taken(str(failure)))
            raise
        except (ApiUnavailable, RetryLater, TimeoutError):
            raise
        except Exception as error:
            self.metrics.count_unreadable(_KINDS[key.kind].kind)
            await self._show(key, event_messages.unreadable(f"the reconcile failed: {type(error).__name__}"))
            raise

    async def _with_repairs(self, key: Key) -> Result:
        """Reconcile, and ask for another reconcile when the earliest repair that has to wait is due."""
        delays = self.repairs.delays()
        try:
            result = await self._reconcile(key)
        except RepairDelayed:
            result = DONE
        waits = [*delays, *([] if result.requeue_after is None else [result.requeue_after])]
        return replace(result, requeue_after=min(waits, default=None))

    async def _show(self, key: Key, message: EventMessage, failure: Unreadable | None = None) -> None:
        """Emit an Event about what fails again and again, because the work queue only repeats it; and set the object's condition."""
        if key.kind == "tools" or not key.name:
            return  # of all objects of a namespace none is at fault
        kind = _KINDS[key.kind]
        try:
            raw = await self.client.find(kind, key.namespace, key.name)
            if raw is None:
                return
            if failure is not None and failure.kind == kind.kind:
                await self.unreadable_objects.report(kind, raw, failure)
        except (ApiError, ApiUnavailable):
            return
        head = Resource.model_validate({part: raw[part] for part in ("apiVersion", "kind", "metadata")})
        await self.events.emit(head, message)

    async def _reconcile(self, key: Key) -> Result:  # noqa: PLR0911 - one line per kind
        async with self.metrics.reconcile(key):
            match key.kind:
                case "instance":
                    return await self.instances.reconcile(key)
                case "skillpack":
                    return await self.skill_packs.reconcile(key)
                case "pool":
                    return await self.pools.reconcile(key)
                case "config":
                    return await self.configs.reconcile(key)
                case "tools":
                    return await self.tools.reconcile(key)
                case "provider":
                    return await self.providers.reconcile(key)
                case "policy":
                    return await self.policies.reconcile(key)
                case "run":
                    return await self._run(key)

    async def _run(self, key: Key) -> Result:
        raw = await self.client.find(RUNS, key.namespace, key.name)
        if raw is None:
            return self._gone(key)
        run = read(AgentRun, raw)
        return await (self.servers if run.spec.mode == "server" else self.runs).reconcile(run)

    def _gone(self, key: Key) -> Result:
        """Forget a run that does not exist. A server run's instance may need another one, because watches miss deletions."""
        self.servers.forget(key)
        result, instance = self.runs.gone(key), names.instance_of_run(key.name)
        if instance is None:
            return result
        return replace(result, enqueue=(*result.enqueue, Key("instance", key.namespace, instance)))

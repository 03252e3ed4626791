"""Reconciler of SympoziumConfigs: the Gateway, their status, and the instances that depend on it."""

import asyncio
from dataclasses import replace

from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.config import SympoziumConfig
from sympozium_api.reading import read
from sympozium_api.resources import CONFIGS, GATEWAY_CLASSES, GATEWAYS, INSTANCES, Object
from sympozium_operator.cluster.converge import Converger, delete
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.cluster.scoped_lists import ScopedLists
from sympozium_operator.desired import gateway
from sympozium_operator.policy import config_plan as policy
from sympozium_operator.policy import event_messages
from sympozium_operator.policy.conditions import merge_patch
from sympozium_operator.reconcile.surface_routes import SurfaceRoutes
from sympozium_operator.result import DONE, Key, Result


class ConfigReconciler:
    """Reconciles SympoziumConfigs; ``namespace`` is the operator's own."""

    def __init__(
        self,
        *,
        client: Client,
        converge: Converger,
        clock: Clock,
        events: EventRecorder,
        namespace: str,
        lists: ScopedLists,
        routes: SurfaceRoutes,
        has_home: bool = True,
    ) -> None:
        """``has_home``: this process makes the Gateway and writes the status; else it only tells its instances of changes."""
        self._client = client
        self._converge = converge
        self._clock = clock
        self._events = events
        self._namespace = namespace
        self._lists = lists
        self._routes = routes
        self._has_home = has_home
        self._reconciled_with: Object | None = None
        """Values with which all instances were last reconciled."""

    async def reconcile(self, key: Key) -> Result:
        """Reconcile a SympoziumConfig."""
        raw = await self._client.find(CONFIGS, key.namespace, key.name)
        if raw is None or raw["metadata"].get("deletionTimestamp"):
            return Result(spread=await self._users({}))  # Kubernetes deletes the Gateway with its owner
        config = read(SympoziumConfig, raw)
        if key.namespace == self._namespace and not self._has_home:
            return await self._follow(config)
        facts = await self._gather(config)
        plan = policy.decide(facts)
        await self._act(facts, plan)
        await self._report(facts.config, plan)
        if not policy.counts(facts.config, self._namespace):
            return DONE
        matters = facts.config.spec.model_dump() | {"ready": plan.status["gateway"]["ready"]}
        return Result(requeue_after=plan.requeue_after, spread=await self._users(matters))

    async def _follow(self, config: SympoziumConfig) -> Result:
        """Enqueue the instances to which a change matters; another process has made the change true."""
        if not policy.counts(config, self._namespace):
            return DONE
        is_ready = config.status.gateway is not None and config.status.gateway.ready
        return Result(spread=await self._users(config.spec.model_dump() | {"ready": is_ready}))

    async def _gather(self, config: SympoziumConfig) -> policy.ConfigInput:
        gateways, classes = await asyncio.gather(self._gateways(), self._classes(config))
        facts = policy.ConfigInput(self._clock.now(), config, self._namespace, gateways, classes)
        if not policy.counts(config, self._namespace) or not policy.accepted(facts).ok:
            return facts
        return replace(facts, routes=await self._routes.reconcile(config))

    async def _gateways(self) -> tuple[Object, ...] | None:
        try:
            return tuple(await self._client.list(GATEWAYS, self._namespace))
        except ApiError as error:
            if error.not_found:  # the kind is missing, because a list of objects never is
                return None
            raise

    async def _classes(self, config: SympoziumConfig) -> tuple[Object, ...] | None:
        """Return the GatewayClass, selected by name, so that one verb suffices; an operator without cluster-wide rights may not read it."""
        name = f"metadata.name={config.spec.gateway.gateway_class_name}"
        try:
            return tuple(await self._client.list(GATEWAY_CLASSES, None, fieldSelector=name))
        except ApiError as error:
            if error.status in (403, 404):
                return None
            raise

    async def _act(self, facts: policy.ConfigInput, plan: policy.ConfigPlan) -> None:
        if plan.gateway_wanted:
            await self._converge([gateway.build(facts.config)])
        for body in plan.surplus:
            await delete(self._client, GATEWAYS, body)

    async def _report(self, config: SympoziumConfig, plan: policy.ConfigPlan) -> None:
        before = config.status.model_dump(by_alias=True, exclude_none=True)
        if patch := merge_patch(before, plan.status):
            await self._client.patch(CONFIGS, *config.key, {"status": patch}, subresource="status")
            for message in event_messages.of_config(config, plan.status):
                await self._events.emit(config, message)

    async def _users(self, matters: Object) -> tuple[Key, ...]:
        """Return all instances, if a value that matters to them has changed."""
        if matters == self._reconciled_with:
            return ()
        instances = await self._lists.metadata(INSTANCES)
        self._reconciled_with = matters
        oldest_first = sorted(instances, key=lambda item: str(item["metadata"]["creationTimestamp"]))
        return tuple(Key("instance", item["metadata"]["namespace"], item["metadata"]["name"]) for item in oldest_first)

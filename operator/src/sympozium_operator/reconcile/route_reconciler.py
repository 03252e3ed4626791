"""Reconciler of the HTTPRoute of an instance's web endpoint."""

import asyncio
from dataclasses import dataclass, field

from sympozium_api import effective, names
from sympozium_api.client import ApiError, Client
from sympozium_api.config import SympoziumConfig
from sympozium_api.effective import EffectiveWebEndpoint, InvalidSpec
from sympozium_api.instance import SympoziumInstance
from sympozium_api.reading import read
from sympozium_api.resources import CONFIGS, HTTP_ROUTES
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import converge, remove_found
from sympozium_operator.cluster.scoped_lists import ScopedLists
from sympozium_operator.desired import http_route as desired
from sympozium_operator.policy import route_decision as policy
from sympozium_operator.policy.conditions import ConditionUpdate


@dataclass(frozen=True, kw_only=True)
class RouteReconciler:
    """Makes, changes and removes routes, as a part of the instance's reconcile."""

    client: Client
    namespace: str
    """Namespace of the operator, where the SympoziumConfig is."""
    lists: ScopedLists
    claims: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Lock from reading who has a host name until it is taken: of two that ask at once, one is first."""

    async def reconcile(self, instance: SympoziumInstance, server: AgentRun | None) -> policy.RouteState:
        """Reconcile the route of an instance whose web endpoint is enabled."""
        facts = await self._gather(instance, server)
        target = policy.decide(facts)
        if isinstance(target, desired.RouteTarget) and facts.server and facts.config:
            try:
                return await self._make(facts, facts.server, facts.config, target)
            except ApiError as error:
                if (
                    error.not_found
                ):  # the kind is missing: the Gateway API was removed, and the status does not show it yet
                    return policy.RouteState(policy.gateway_not_ready(facts.config))
                raise
        await self._remove(facts)
        return policy.RouteState(target if isinstance(target, ConditionUpdate) else None)

    async def _gather(self, instance: SympoziumInstance, server: AgentRun | None) -> policy.RouteInput:
        namespace, name = instance.key
        config, live = await asyncio.gather(
            self.client.find(CONFIGS, self.namespace, names.CONFIG),
            self.client.find(HTTP_ROUTES, namespace, names.server(names.web_endpoint_run(name))),
        )
        return policy.RouteInput(
            instance,
            _endpoint(instance),
            read(SympoziumConfig, config) if config else None,
            server,
            live,
        )

    async def _make(
        self, facts: policy.RouteInput, server: AgentRun, config: SympoziumConfig, target: desired.RouteTarget
    ) -> policy.RouteState:
        body = desired.build(server, target)
        if policy.claimed(facts.live, target):
            [live] = await converge(self.client, [body])
            return policy.state(target, live, config)
        async with self.claims:
            mine = (body["metadata"]["namespace"], body["metadata"]["name"])
            other = policy.rival(await self.lists.objects(HTTP_ROUTES), mine, target)
            if other is None:
                [live] = await converge(self.client, [body])
                return policy.state(target, live, config)
        await self._remove(facts)
        return policy.taken(target, other)

    async def _remove(self, facts: policy.RouteInput) -> None:
        """Delete the route if the server run owns it."""
        if facts.live is not None and facts.server is not None:
            await remove_found(self.client, HTTP_ROUTES, facts.server, facts.live)


def _endpoint(instance: SympoziumInstance) -> EffectiveWebEndpoint | None:
    try:
        effective.refuse_unsupported(instance)
        return effective.web_endpoint(instance)
    except InvalidSpec:
        return None

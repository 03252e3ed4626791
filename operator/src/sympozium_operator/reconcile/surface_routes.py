"""Reconciler of the routes of the installation's own APIs, as a part of the SympoziumConfig's reconcile."""

import asyncio
from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.config import SympoziumConfig
from sympozium_api.resources import HTTP_ROUTES, Object
from sympozium_operator.cluster.converge import Converger, delete
from sympozium_operator.cluster.scoped_lists import ScopedLists
from sympozium_operator.desired import surface_route as desired
from sympozium_operator.desired.http_route import RouteTarget
from sympozium_operator.desired.surface_route import Surface
from sympozium_operator.policy import route_decision
from sympozium_operator.policy import surface_routes as policy
from sympozium_operator.policy.conditions import ConditionUpdate


@dataclass(frozen=True, kw_only=True)
class SurfaceRoutes:
    """Makes, changes and removes routes in the operator's namespace."""

    client: Client
    converge: Converger
    lists: ScopedLists
    surfaces: tuple[Surface, ...]
    """APIs that have a host name."""
    claims: asyncio.Lock
    """Lock from reading who has a host name until it is taken, which the routes of instances share."""

    async def reconcile(self, config: SympoziumConfig) -> ConditionUpdate | None:
        """Reconcile the routes, and return the condition RoutesReady; None if no gateway or no host name is asked for."""
        wanted = self.surfaces if config.spec.gateway.enabled else ()
        try:
            routes = {route["metadata"]["name"]: route for route in await self._own(config)}
            for route in policy.surplus(list(routes.values()), wanted):
                await self._remove(route)
            flaws = {surface: await self._make(config, surface, routes.get(surface.service)) for surface in wanted}
        except ApiError as error:
            if not error.not_found:
                raise
            flaws = dict.fromkeys(wanted, policy.refused("GatewayAPINotInstalled", "the Gateway API is not installed"))
        return policy.summary(flaws) if wanted else None

    async def _own(self, config: SympoziumConfig) -> list[Object]:
        selector = f"{names.MANAGED_BY}={names.FIELD_MANAGER},app.kubernetes.io/component={desired.COMPONENT}"
        return await self.client.list(HTTP_ROUTES, config.metadata.namespace, labelSelector=selector)

    async def _make(self, config: SympoziumConfig, surface: Surface, live: Object | None) -> ConditionUpdate | None:
        """Make a route, and return the reason why it does not work; None if it does."""
        target = policy.decide(config, surface)
        if isinstance(target, ConditionUpdate):
            await self._remove(live)
            return target
        body = desired.build(config, surface, target)
        if route_decision.claimed(live, target):
            [live] = await self.converge([body])
            return policy.state(live, target)
        async with self.claims:
            other = await self._rival(body, target)
            if other is None:
                [live] = await self.converge([body])
                return policy.state(live, target)
        await self._remove(live)
        return policy.taken(target, other)

    async def _remove(self, live: Object | None) -> None:
        """Delete a route whose host name is not the wanted one any more."""
        if live is not None:
            await delete(self.client, HTTP_ROUTES, live)

    async def _rival(self, body: Object, target: RouteTarget) -> Object | None:
        mine = (body["metadata"]["namespace"], body["metadata"]["name"])
        return route_decision.rival(await self.lists.objects(HTTP_ROUTES), mine, target)

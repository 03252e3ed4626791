"""Reconciler of the HTTPRoute of an instance's web endpoint."""

import asyncio
from dataclasses import dataclass, field, replace

from sympozium_api import effective, names
from sympozium_api.client import ApiError, Client
from sympozium_api.config import SympoziumConfig
from sympozium_api.effective import EffectiveWebEndpoint, InvalidSpec
from sympozium_api.instance import SympoziumInstance
from sympozium_api.reading import read
from sympozium_api.resources import CONFIGS, HTTP_ROUTES, Object
from sympozium_api.run import AgentRun
from sympozium_operator.cluster.converge import Converger, remove_found
from sympozium_operator.cluster.scoped_lists import ScopedLists
from sympozium_operator.desired import http_route as desired
from sympozium_operator.policy import route_decision as policy
from sympozium_operator.policy.conditions import ConditionUpdate
from sympozium_operator.reconcile.version_poll import VersionPoll
from sympozium_operator.result import Key

_MOST_HOLDERS = 10_000
"""Host names of which a holder is remembered; above it, all are forgotten and found again by a list."""


@dataclass(frozen=True, kw_only=True)
class RouteReconciler:
    """Makes, changes and removes routes, as a part of the instance's reconcile."""

    client: Client
    converge: Converger
    namespace: str
    """Namespace of the operator, where the SympoziumConfig is."""
    lists: ScopedLists
    """Lists of all namespaces, whichever process works on them."""
    hostnames: VersionPoll
    """Poll of the routes that have the host names for which instances wait."""
    claims: asyncio.Lock
    """Lock from reading who has a host name until it is taken: of two that ask at once, one is first."""
    reserved: frozenset[str]
    """Host names of the installation's own APIs: no instance gets one, also before the API's route is there."""
    are_divided: bool = False
    """True if other processes may take host names, which this one's lock does not hold back."""
    _holders: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Route that was seen with a host name, so that all who wait for the name read one route instead of a list of all."""
    _unchecked: set[tuple[str, str]] = field(default_factory=set)
    """Routes of ours that have claimed a host name since which no list showed whether another process has claimed it too."""

    async def reconcile(self, instance: SympoziumInstance, server: AgentRun | None) -> policy.RouteState:
        """Reconcile the route of an instance whose web endpoint is enabled."""
        facts = await self._gather(instance, server)
        target = policy.decide(facts, self.reserved)
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
        mine = _address(body)
        if policy.claimed(facts.live, target) and mine not in self._unchecked:
            [live] = await self.converge([body])
            return policy.state(target, live, config)
        async with self.claims:
            other = await self._rival(mine, target)
            if other is None:
                self._unchecked.add(mine)
                [live] = await self.converge([body])
                other = await self._other_claim(mine, target)
                if other is None:
                    self._unchecked.discard(mine)
                    return policy.state(target, live, config)
                facts = replace(facts, live=live)
        await self._remove(facts)
        self._unchecked.discard(mine)
        self.hostnames.remember_in(Key("instance", *facts.instance.key), HTTP_ROUTES, *_address(other), other)
        return policy.taken(target, other)

    async def _rival(self, mine: tuple[str, str], target: desired.RouteTarget) -> Object | None:
        """Return another route that has the host name; a list is read only if the last one that had it has it no more."""
        known = await self._holder(target.hostname)
        other = policy.rival([known] if known else [], mine, target)
        if other is None:
            self._holders.pop(target.hostname, None)
            other = policy.rival(await self.lists.objects(HTTP_ROUTES), mine, target)
        if other is not None:
            if len(self._holders) >= _MOST_HOLDERS:
                self._holders.clear()
            self._holders[target.hostname] = _address(other)
        return other

    async def _other_claim(self, mine: tuple[str, str], target: desired.RouteTarget) -> Object | None:
        """Return another route that has the host name although this one has it now: another process claimed it at the same time.

        Whoever sees the other's claim gives the name up. Each looks after it has claimed, so one of them sees the other at least.
        """
        if not self.are_divided:
            return None
        return policy.rival(await self.lists.objects(HTTP_ROUTES), mine, target)

    async def _holder(self, hostname: str) -> Object | None:
        """Read the route that was last seen with a host name; None if there is none, or if its namespace is gone."""
        address = self._holders.get(hostname)
        try:
            return await self.client.find(HTTP_ROUTES, *address) if address else None
        except ApiError as error:
            if error.forbidden:
                return None
            raise

    async def _remove(self, facts: policy.RouteInput) -> None:
        """Delete the route if the server run owns it."""
        if facts.live is not None and facts.server is not None:
            await remove_found(self.client, HTTP_ROUTES, facts.server, facts.live)


def _address(route: Object) -> tuple[str, str]:
    return route["metadata"]["namespace"], route["metadata"]["name"]


def _endpoint(instance: SympoziumInstance) -> EffectiveWebEndpoint | None:
    try:
        effective.refuse_unsupported(instance)
        return effective.web_endpoint(instance)
    except InvalidSpec:
        return None

"""Replicas of the operator that elect the holders of shards, and an API server that may be out of their reach."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.virtual_loop import LoopClock

from sympozium_api import names, operator_lease
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import LEASES, Object, ResourceType
from sympozium_operator.cluster.first import first
from sympozium_operator.cluster.lease import LeaseLost
from sympozium_operator.cluster.shard_leases import ShardLeases

SYSTEM = "system"
CALM = 90.0
"""Seconds after the last event in which every shard must be held, and by each replica its share."""


class Link(FakeKubernetes):
    """One replica's way to the API server, which can be cut."""

    def __init__(self, cluster: FakeKubernetes) -> None:
        super().__init__(cluster.now)
        self.cluster = cluster
        self.is_cut = False
        self.late = list[float]()
        """Seconds that the next answers about the first Lease need on their way."""
        self.release_takes = 0.0

    async def get(self, kind: ResourceType, namespace: str, name: str) -> Object:
        found = await self._through(lambda: self.cluster.get(kind, namespace, name))
        if name == operator_lease.lease_name(0) and self.late:
            await asyncio.sleep(self.late.pop(0))
        return found

    async def create(self, kind: ResourceType, namespace: str, body: Object, **more: bool) -> Object:
        return await self._through(lambda: self.cluster.create(kind, namespace, body, **more))

    async def replace(self, kind: ResourceType, namespace: str, body: Object, **more: bool) -> Object:
        if not body["spec"]["holderIdentity"]:
            await asyncio.sleep(self.release_takes)
        return await self._through(lambda: self.cluster.replace(kind, namespace, body, **more))

    async def _through(self, call: Callable[[], Awaitable[Object]]) -> Object:
        await asyncio.sleep(0.01)
        if self.is_cut:
            raise ApiUnavailable("away")
        found = await call()
        await asyncio.sleep(0.01)
        return found


@dataclass
class Replica:
    """One process: it works on what it holds, and begins again when it has lost a Lease."""

    world: "World"
    name: str
    shards: int
    clock: LoopClock
    works_on: frozenset[int] = frozenset()
    begun: int = 0
    """Times that its work began."""

    def __post_init__(self) -> None:
        self.link = Link(self.world.cluster)
        self.leases = self._election()
        self._process = asyncio.ensure_future(self._lives())

    def kill(self) -> None:
        """End without a word."""
        self._process.cancel()
        self.works_on = frozenset()
        self.world.replicas.remove(self)

    async def stop(self) -> None:
        """End as on SIGTERM."""
        self._process.cancel()
        self.works_on = frozenset()
        self.world.replicas.remove(self)
        await self.leases.release()

    def _election(self) -> ShardLeases:
        return ShardLeases(self.link, SYSTEM, self.name, shards=self.shards, clock=self.clock, sleep=self.clock.sleep)

    async def _lives(self) -> None:
        while True:
            self.leases = self._election()
            try:
                await first(self.leases.keep(), self._work())
            except LeaseLost:
                self.works_on = frozenset()
                await self.leases.release()

    async def _work(self) -> None:
        while True:
            self.works_on = await self.leases.assigned()
            self.begun += 1
            self.world.check()
            await self.leases.changed(self.works_on)
            self.works_on = frozenset()


@dataclass
class World:
    """An API server and the replicas that run."""

    cluster: FakeKubernetes = field(default_factory=FakeKubernetes)
    replicas: list[Replica] = field(default_factory=list)
    doubled: list[object] = field(default_factory=list)
    """What replicas worked on when two of them worked on the same namespaces."""
    _names: int = 0

    def start(self, shards: int, *, rate: float = 1.0, offset: float = 0.0) -> Replica:
        self._names += 1
        replica = Replica(self, f"pod-{self._names}", shards, LoopClock(rate=rate, offset=offset))
        self.replicas.append(replica)
        return replica

    def check(self) -> None:
        """Record it if two replicas work on one shard, or with another number of shards."""
        working = [replica for replica in self.replicas if replica.works_on]
        held = [shard for replica in working for shard in replica.works_on]
        if len(held) != len(set(held)) or len({replica.shards for replica in working}) > 1:
            self.doubled.append([(each.name, each.shards, each.works_on) for each in working])

    def shares(self) -> list[int]:
        """Numbers of shards that replicas work on, the largest first."""
        return sorted((len(replica.works_on) for replica in self.replicas), reverse=True)

    def lease(self, shard: int) -> Object:
        return self.cluster.object(LEASES, operator_lease.lease_name(shard), SYSTEM)

    def ask(self, shard: int, asker: str) -> None:
        """Ask for a shard as a replica does."""
        lease = self.lease(shard)
        self.cluster.put(lease | {"metadata": lease["metadata"] | {"annotations": {names.ANNOTATION_ASKED_BY: asker}}})

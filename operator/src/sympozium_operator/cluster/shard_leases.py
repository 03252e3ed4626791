"""Leases of all shards, of which each replica holds its share: a lone one holds all, of two each holds half.

A replica takes every Lease that is free. If another one holds at least two more than it, it asks for some of them, and the other one
hands them over when no work on them goes on any more. No replica counts the others: the holders of the Leases are all that it sees.

Replicas with another number of shards divide the namespaces otherwise. So that two such replicas never work at once, the first Lease
says which number holds: its holder names it beside its own name. After each write of a Lease, a replica reads the first one and gives
up if the number is another; and a replica that takes a Lease works only once no live Lease has another number. One of two that begin
at once therefore sees the other.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog

from sympozium_api import operator_lease
from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.clock import Clock
from sympozium_operator.cluster.first import first
from sympozium_operator.cluster.lease import ATTEMPT, RENEW, RETRY, Lease, LeaseLost, Terms, most_shards

SETTLE = 1.5
"""Seconds in which further Leases may come or go, before the work begins or begins again; with one shard there are none."""

log = structlog.get_logger()


class ShardLeases:
    """Side of one replica in the election of the holders of all shards."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        identity: str,
        *,
        shards: int,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._count = shards
        self._sleep = sleep
        self._change = asyncio.Event()
        self._held = set[int]()
        """Shards on which this replica may work."""
        self._leaving = set[int]()
        """Those of them that are handed over once no work on them goes on."""

        def lease(shard: int) -> Lease:
            terms, me = _ShardTerms(self, shard), operator_lease.holder(identity, shards)
            name = operator_lease.lease_name(shard)
            return Lease(client, namespace, name, me, clock=clock, sleep=sleep, terms=terms)

        self._lease = lease
        self._leases = [lease(shard) for shard in range(shards)]
        self._others: list[Lease] = []
        """Leases of shards that this replica does not have, as there are with another number of shards."""

    async def keep(self) -> None:
        """Take, renew and hand over Leases for ever. Raises LeaseLost: all work must end then."""
        steps = [self._keep(shard) for shard in range(self._count)]
        await first(*steps, self._admit_late(), *([self._balance()] if self._count > 1 else []))

    async def assigned(self) -> frozenset[int]:
        """Hand over what was asked for, and return the shards to work on, once there are some. No work may go on meanwhile."""
        while True:
            leaving = frozenset(self._leaving)  # others may be asked for meanwhile
            for shard in sorted(leaving):
                await self._leases[shard].release()
                log.info("shard handed over", shard=shard)
            self._held -= leaving
            self._leaving -= leaving
            if not self._held:
                await self._changes()
                await self._settle()
            elif not self._leaving:
                return frozenset(self._held)

    async def changed(self, shards: frozenset[int]) -> None:
        """Return when this replica is to work on other shards than these."""
        while self._held - self._leaving == shards:
            await self._changes()
        await self._settle()

    async def release(self) -> None:
        """Release all Leases, so that other replicas need not wait for their expiry."""
        self._held.clear()
        await asyncio.gather(*(lease.release() for lease in self._leases))

    def may_take(self, shard: int) -> bool:
        """Return whether the shard may be taken: any but the first one only while the holder of that one has the same number."""
        if shard == 0 or self._leases[0].is_held:
            return True
        holder = self._leases[0].holder
        return bool(holder) and operator_lease.shards_of(holder) == self._count

    async def confirm(self, shard: int) -> None:
        """Raise LeaseLost if the holder of the first Lease has another number of shards."""
        if shard > 0 and not self._leases[0].is_held and await self._leases[0].look() and not self.may_take(shard):
            raise LeaseLost(f"{self._leases[0].holder} has another number of shards")

    def hands_over(self, shard: int, asker: str) -> bool:
        """Decide whether another replica gets a shard that it asks for: if this one still holds at least one more then."""
        if operator_lease.shards_of(asker) != self._count:
            return False
        if shard in self._leaving:
            return True
        if shard not in self._held or len(self._held - self._leaving) - self._counts()[asker] - len(self._leaving) < 2:
            return False
        self._leaving.add(shard)
        self._change.set()
        return True

    async def _keep(self, shard: int) -> None:
        lease = self._leases[shard]
        while True:
            await lease.acquire()
            if await self._is_alone(shard):
                self._admit(shard)
            await lease.hold()

    async def _admit_late(self) -> None:
        """Admit shards whose Lease was taken while replicas with another number of shards still had to end."""
        while True:
            await self._sleep(RETRY)
            for shard, lease in enumerate(self._leases):
                if lease.is_held and shard not in self._held and await self._is_alone(shard):
                    self._admit(shard)

    def _admit(self, shard: int) -> None:
        if self._leases[shard].is_held:
            self._held.add(shard)
            self._change.set()

    async def _is_alone(self, shard: int) -> bool:
        """Return whether no replica with another number of shards may work, now that this one has the Lease of a shard."""
        try:
            async with asyncio.timeout(ATTEMPT):
                if shard > 0 and not self._leases[0].is_held:
                    await self._leases[0].look()
                    if not self.may_take(shard):
                        if shard not in self._held:  # else the next renewal ends the work
                            await self._leases[shard].release()
                        return False
                most = max(most_shards(self._leases[0].annotations), self._count)
                while len(self._leases) + len(self._others) < most:
                    self._others.append(self._lease(len(self._leases) + len(self._others)))
                others = [lease for lease in (*self._leases[1:], *self._others) if not lease.is_held]
                found = await asyncio.gather(*(lease.look() for lease in others))
        except (ApiError, ApiUnavailable, TimeoutError) as error:
            log.warning("lease request failed", error=str(error))
            return False
        return all(not holder or operator_lease.shards_of(holder) == self._count for holder in found)

    async def _balance(self) -> None:
        """Ask for shards of the replica that holds the most, while it holds at least two more than this one."""
        while True:
            await self._sleep(RENEW)
            for shard in self._to_ask_for():
                await self._leases[shard].ask()

    def _to_ask_for(self) -> list[int]:
        if any(not lease.holder for lease in self._leases) or any(lease.is_held for lease in self._pending()):
            return []  # first all are taken
        counts = self._counts()
        richest, most = max(counts.items(), key=lambda item: (item[1], item[0]), default=("", 0))
        surplus = most - len(self._held)
        if surplus < 2 or operator_lease.shards_of(richest) != self._count:
            return []
        theirs = [shard for shard, lease in enumerate(self._leases) if not lease.is_held and lease.holder == richest]
        return theirs[-(surplus // 2) :]

    def _pending(self) -> list[Lease]:
        """Return the Leases that this replica holds without working on their shards yet."""
        return [lease for shard, lease in enumerate(self._leases) if lease.is_held and shard not in self._held]

    def _counts(self) -> Counter[str]:
        """Return how many Leases each other replica holds."""
        return Counter(lease.holder for lease in self._leases if not lease.is_held and lease.holder)

    async def _changes(self) -> None:
        self._change.clear()
        await self._change.wait()

    async def _settle(self) -> None:
        if self._count > 1:
            await self._sleep(SETTLE)


class _ShardTerms(Terms):
    """Conditions of one shard's Lease."""

    def __init__(self, leases: ShardLeases, shard: int) -> None:
        self._leases = leases
        self._shard = shard

    def may_take(self) -> bool:
        return self._leases.may_take(self._shard)

    async def confirm(self) -> None:
        await self._leases.confirm(self._shard)

    def hands_over_to(self, asker: str) -> bool:
        return self._leases.hands_over(self._shard, asker)

"""Handovers of shards: slow ones, several at once, and those that meet a replica with another number of shards."""

import asyncio

from tests.fakes.virtual_loop import run
from tests.unit.operator.shard_world import CALM, SYSTEM, World

from sympozium_api import names
from sympozium_api.resources import LEASES


def test_a_slow_handover_ends_no_other_work() -> None:
    async def story() -> None:
        world = World()
        first_one = world.start(2)
        await asyncio.sleep(10)
        election, first_one.link.release_takes = first_one.leases, 9.0
        world.start(2)
        await asyncio.sleep(CALM)
        assert world.shares() == [1, 1]
        assert first_one.leases is election  # it has lost no Lease

    run(story)


def test_a_shard_that_is_asked_for_during_a_handover_is_handed_over_with_it() -> None:
    async def story() -> None:
        world = World()
        replica = world.start(4)
        await asyncio.sleep(10)
        replica.link.release_takes = 6.0
        world.ask(3, "x/4")
        while replica.works_on:
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        world.ask(2, "x/4")
        while not replica.works_on:
            await asyncio.sleep(0.1)
        assert 2 not in replica.works_on
        assert not world.lease(2)["spec"]["holderIdentity"]

    run(story)


def test_of_two_looks_at_the_first_lease_the_later_one_releases_no_lease_of_a_shard_in_work() -> None:
    """The one look sees the former holder, and the replica works; the other one sees a holder with another number of shards."""

    async def story() -> None:
        world = World()
        annotations = {names.ANNOTATION_MOST_SHARDS: "2"}
        metadata = {"name": "sympozium-operator", "namespace": SYSTEM, "annotations": annotations}
        lease = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata}
        world.cluster.put(lease | {"spec": {"holderIdentity": "gone/2", "leaseDurationSeconds": 15}})
        replica = world.start(2)
        replica.link.late = [0, 0, 1.5, 0.9]
        await asyncio.sleep(1.2)
        world.cluster.put(lease | {"spec": {"holderIdentity": ""}})
        world.start(1)
        await asyncio.sleep(3)
        assert replica.works_on == {1}
        assert world.lease(1)["spec"]["holderIdentity"] == "pod-1/2"
        await asyncio.sleep(CALM)
        assert world.shares() == [1, 0]
        assert not world.doubled

    run(story)

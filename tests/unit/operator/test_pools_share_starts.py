"""Several warm pools: they share the pods that may start at a time, and none of them is left empty."""

import pytest
from tests.unit.operator.objects import WEB_ENDPOINT, instance_object, pack_object
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import JOBS
from sympozium_operator.scheduling.start_limit import StartLimit


@pytest.fixture
async def world() -> World:
    """Two pools, of which that of alice has as many pods that start as may start at a time."""
    pools = [instance_object(name, **WEB_ENDPOINT, model={"warmPool": {"size": 30}}) for name in ("alice", "bob")]
    world = World(*pools, pack_object())
    for name in ("alice", "bob"):
        await world.reconcile(name, "instance")
    for _ in range(20):
        await world.reconcile("alice", "pool")
        world.clock.advance(0.5)
    return world


def idle(world: World, instance: str) -> int:
    return sum(
        names.idle_job_generation(job) is not None for job in world.cluster.names(JOBS) if job.startswith(instance)
    )


async def test_a_pool_that_must_wait_for_others_starts_is_reconciled_again(world: World) -> None:
    assert (await world.reconcile("bob", "pool")).requeue_after is not None


async def test_pods_that_never_start_do_not_keep_other_pools_empty(world: World) -> None:
    world.clock.advance(30)
    await world.reconcile("bob", "pool")
    assert idle(world, "bob") > 0


def test_a_start_that_took_no_time_does_not_keep_the_limit_low_for_ever() -> None:
    limit = StartLimit(6)
    limit.measure(0.0, starting=1)
    for _ in range(20):
        limit.measure(1.0, starting=int(limit.value))
    assert limit.value > 12

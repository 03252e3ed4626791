"""Idle pods that poll web-proxies, and runs that another process has started: the pod sends its records to that process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.all_instances import Door, open_door
from tests.fakes.model import Model
from tests.integration.conftest import eventually, instance, warm_instance
from tests.integration.warm_cluster import Cluster, holding, running

from sympozium_api import names
from sympozium_api.resources import RUNS, Object


@pytest.fixture
def script() -> str:
    return "instant"


@pytest.fixture
def operates() -> bool:
    """False: the operator is away, so no run starts cold because this machine is slow."""
    return True


@pytest.fixture
async def cluster(tmp_path: Path, model: Model, script: str, operates: bool) -> AsyncIterator[Cluster]:
    async with running(tmp_path, model, warm_instance(model, script), operates=operates) as found:
        yield found


@pytest.fixture
async def door(cluster: Cluster) -> AsyncIterator[Door]:
    async with open_door(cluster.kubernetes) as found:
        yield found


def run_status(cluster: Cluster, name: str) -> Object:
    found: Object = cluster.kubernetes.object(RUNS, name).get("status", {})
    return found


@pytest.mark.parametrize("operates", [False])
@pytest.mark.parametrize("script", ["slow:20:20"])
async def test_an_idle_pod_takes_the_run_and_its_records_stream_to_the_process_that_started_it(
    cluster: Cluster, door: Door
) -> None:
    await cluster.replicas.start()
    pod = await cluster.idle_pod()
    handle = await door.start("hello")
    types = []
    while (record := await handle.next(5)) is not None and record["type"] != "done":
        types.append((record["type"], "phase" in cluster.status()))
    assert types.count(("delta", False)) > 5, "the answer came as a whole, when it was stored"
    status = await cluster.ended()
    assert (status["start"], status["podName"], status["phase"]) == ("warm", pod.name, "Succeeded")
    writes = [(verb, kind) for verb, kind, name in cluster.kubernetes.writes if name == handle.name]
    assert writes == [("create", "agentruns"), ("patch", "agentruns/status"), ("patch", "agentruns/status")]
    assert await pod.task == 0
    handle.close()


async def test_without_an_idle_pod_the_run_starts_at_once(cluster: Cluster, door: Door) -> None:
    await cluster.replicas.start()
    handle = await door.start("hello")
    assert (await handle.end())["type"] == "done"
    assert (await cluster.ended())["start"] == "cold"
    handle.close()


async def test_a_run_of_an_instance_without_a_pool_is_offered_to_nobody(cluster: Cluster, door: Door) -> None:
    cluster.kubernetes.put(instance(skills=[]) | {"metadata": {"name": "plain", "namespace": "default"}})
    handle = await door.start("hello", instance="plain")
    assert names.ANNOTATION_AWAITS_IDLE_POD not in handle.run.metadata.annotations
    handle.close()


@pytest.mark.parametrize("operates", [False])
async def test_the_pods_of_two_replicas_are_offered_and_one_gets_the_run(cluster: Cluster, door: Door) -> None:
    first, second = [await cluster.replicas.start() for _ in range(2)]
    pods = []
    for replica in (first, second):
        cluster.surface.endpoints[:] = [replica.surface]
        pods.append(await cluster.idle_pod())
    cluster.surface.endpoints[:] = [first.surface, second.surface]
    handle = await door.start("hello")
    assert (await handle.end())["type"] == "done"
    assert cluster.pods_asked("hello") == [run_status(cluster, handle.name)["podName"]]
    await cluster.idle(1, first, second)  # the other pod polls again
    handle.close()


class TestTheConsoleDies:
    """The pod's records then go to the web-proxies: the run ends as if its caller had left, and any other replica has its answer."""

    async def test_before_a_pod_is_bound(self, cluster: Cluster, door: Door) -> None:
        await cluster.replicas.start()
        await cluster.idle_pod()
        async with holding(cluster.kubernetes, "patch", RUNS) as held:
            await door.start("hello")
            await held.comes()
            await door.die()
        status = await cluster.ended()
        assert status["phase"] == "Succeeded"
        assert cluster.pods_asked("hello") == [status["podName"]]

    @pytest.mark.parametrize("operates", [False])
    @pytest.mark.parametrize("script", ["slow:4:100"])
    async def test_while_the_pod_works(self, cluster: Cluster, door: Door) -> None:
        await cluster.replicas.start()
        pod = await cluster.idle_pod()
        await door.start("hello")
        await eventually(lambda: cluster.pods_asked("hello") != [])
        await door.die()
        status = await cluster.ended()
        assert (status["phase"], status["podName"]) == ("Succeeded", pod.name)
        assert cluster.pods_asked("hello") == [pod.name]

    async def test_and_another_replica_follows_the_run_to_its_end(self, cluster: Cluster, door: Door) -> None:
        await cluster.replicas.start()
        await cluster.idle_pod()
        async with open_door(cluster.kubernetes) as other, holding(cluster.kubernetes, "patch", RUNS) as held:
            run = await door.start("hello")
            await held.comes()
            following = await other.runs.follow("default", run.name)
            await door.die()
            held.go()
            assert (await following.end())["type"] == "done"
            following.close()


@pytest.mark.parametrize("operates", [False])
async def test_a_run_that_is_cancelled_while_a_pod_is_offered_to_it_asks_no_model(cluster: Cluster, door: Door) -> None:
    await cluster.replicas.start()
    await cluster.idle_pod()
    async with holding(cluster.kubernetes, "patch", RUNS) as held:
        handle = await door.start("hello")
        await held.comes()
        cancelled = cluster.run()
        error = {"type": "cancelled", "message": "The run was cancelled.", "httpStatus": 499}
        ended = {"phase": "Cancelled", "error": error}
        cluster.kubernetes.put(cancelled | {"spec": cancelled["spec"] | {"cancel": True}, "status": ended})
    assert (await handle.end())["type"] == "error"
    assert run_status(cluster, handle.name)["phase"] == "Cancelled"
    assert cluster.pods_asked("hello") == []
    handle.close()


@pytest.mark.parametrize("operates", [False])
async def test_a_web_proxy_that_dies_before_the_poll_is_answered_loses_no_run(cluster: Cluster, door: Door) -> None:
    first, _ = [await cluster.replicas.start() for _ in range(2)]
    pod = await cluster.idle_pod()
    holder = first if await first.idle() else cluster.replicas.ready[1]
    async with holding(cluster.kubernetes, "patch", RUNS, done=True) as held:
        handle = await door.start("hello")
        await held.comes()
        cluster.replicas.kill(holder)
    assert (await handle.end())["type"] == "done"
    assert cluster.pods_asked("hello") == [pod.name]
    handle.close()

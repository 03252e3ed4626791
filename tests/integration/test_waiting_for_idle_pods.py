"""Runs that find no idle pod while their pool is refilled: the next idle pod at any replica takes the one that has waited longest."""

import asyncio
from pathlib import Path

import pytest
from tests.fakes import replicas
from tests.fakes.model import Model
from tests.fakes.node import Pod
from tests.fakes.pod import FakePod
from tests.integration.conftest import eventually, warm_instance
from tests.integration.test_warm_pool import Pool, Replica, left, pool
from tests.integration.warm_cluster import Cluster, has_ended, running

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS, Object

__all__ = ["pool"]


async def refilled(pool: Pool, replica: Replica) -> None:
    """Let a pod start at a replica, and use it up."""
    pod = pool.pod(replica.surface)
    await eventually(lambda: replica.idle() == 1)
    assert (await replica.chat()).status_code == 200
    await pod.task


def awaits(run: Object) -> bool:
    return names.ANNOTATION_AWAITS_IDLE_POD in run["metadata"]["annotations"]


async def waiting(pool: Pool, count: int, *replicas: Replica) -> "list[asyncio.Task[int]]":
    """Send requests, one after the other, that find no idle pod, at each replica in turn."""

    async def status(replica: Replica) -> int:
        return (await replica.chat()).status_code

    tasks, before = [], len(pool.kubernetes.names(RUNS))
    for number in range(count):
        tasks.append(asyncio.create_task(status(replicas[number % len(replicas)])))
        await eventually(lambda: len(pool.kubernetes.names(RUNS)) == before + number + 1)  # noqa: B023
    return tasks


async def test_a_run_waits_for_the_next_idle_pod_while_the_pool_is_refilled(pool: Pool) -> None:
    replica = await pool.replica()
    await refilled(pool, replica)
    [asking] = await waiting(pool, 1, replica)
    assert awaits(pool.run())
    assert "claim" not in pool.run()["spec"]
    pod = pool.pod(replica.surface)
    assert await asking == 200
    status = pool.run()["status"]
    assert (status["start"], status["podName"], status["phase"]) == ("warm", pod.name, "Succeeded")
    writes = [(verb, kind) for verb, kind, name in pool.kubernetes.writes if name == pool.run()["metadata"]["name"]]
    assert writes == [("create", "agentruns"), ("patch", "agentruns/status"), ("patch", "agentruns/status")]


async def test_the_oldest_run_is_first_and_a_newer_request_does_not_overtake_it(pool: Pool) -> None:
    replica = await pool.replica()
    await refilled(pool, replica)
    asking = await waiting(pool, 3, replica)
    runs = pool.kubernetes.names(RUNS)[-3:]
    for number, run in enumerate(runs):
        pod = pool.pod(replica.surface)
        assert await asking[number] == 200
        assert pool.kubernetes.object(RUNS, run)["status"]["podName"] == pod.name


async def test_without_a_refill_a_run_does_not_wait(pool: Pool) -> None:
    replica = await pool.replica()
    tasks = await waiting(pool, 1, replica)
    assert not awaits(pool.run())
    await left(*tasks)


async def test_a_run_that_starts_cold_meanwhile_gets_no_idle_pod(pool: Pool) -> None:
    replica = await pool.replica()
    await refilled(pool, replica)
    tasks = await waiting(pool, 1, replica)
    pool.kubernetes.meanwhile("patch", RUNS, lambda: pool.kubernetes.put(pool.run() | {"status": {"start": "cold"}}))
    pool.pod(replica.surface)
    await eventually(lambda: replica.idle() == 1)
    cold = FakePod(pool.run(), pool.issuer, replica.surface)
    assert (await cold.task()).status_code == 200
    await cold.answer("Hi")
    assert await tasks[0] == 200
    assert pool.run()["status"]["start"] == "cold"


async def test_a_run_whose_binding_fails_waits_for_another_pod(pool: Pool) -> None:
    replica = await pool.replica()
    await refilled(pool, replica)
    tasks = await waiting(pool, 1, replica)
    pool.kubernetes.refuse("patch", RUNS, ApiUnavailable("away"))
    first = pool.pod(replica.surface)
    assert await first.task == 0
    assert "unused" in first.last_words
    second = pool.pod(replica.surface)
    assert await tasks[0] == 200
    assert pool.run()["status"]["podName"] == second.name


async def idle_pod_at(cluster: Cluster, replica: "replicas.Replica") -> Pod:
    """Start a pod that polls this replica."""
    endpoints = list(cluster.surface.endpoints)
    cluster.surface.endpoints[:] = [replica.surface]
    pod = await cluster.idle_pod()
    cluster.surface.endpoints[:] = endpoints
    return pod


class TestAnotherReplica:
    async def test_its_idle_pod_takes_the_run_and_the_answer_streams_to_the_caller(
        self, tmp_path: Path, model: Model
    ) -> None:
        async with running(tmp_path, model, two_replicas(model, script="slow:20:50"), operates=False) as cluster:
            first, second = [await cluster.replicas.start() for _ in range(2)]
            pod = await idle_pod_at(cluster, second)
            headers = {"Authorization": "Bearer sk-test"}
            body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
            url = f"{first.url}/v1/chat/completions"
            async with cluster.http.stream("POST", url, json=body, headers=headers) as answer:
                open_at_first = [
                    has_ended(cluster.run()) async for line in answer.aiter_lines() if '"content":"' in line
                ]
            assert len(open_at_first) > 5
            assert not open_at_first[0], "the answer came as a whole, when it was stored"
            assert cluster.run()["status"]["podName"] == pod.name
            assert cluster.run()["metadata"]["annotations"][names.ANNOTATION_REPLY_TO] == first.surface
            assert await pod.task == 0

    async def test_none_waits_there_as_far_as_is_known_so_the_run_starts_at_once(
        self, pool: Pool, model: Model
    ) -> None:
        body = two_replicas(model, observed=2)
        body["status"]["warmPool"]["idle"] = 0
        pool.kubernetes.put(body)
        tasks = await waiting(pool, 1, await pool.replica())
        assert not awaits(pool.run())
        await left(*tasks)

    async def test_does_not_take_a_run_whose_forwarded_headers_it_does_not_have(
        self, tmp_path: Path, model: Model
    ) -> None:
        body = two_replicas(model)
        body["spec"]["agents"]["default"] |= {"forwardHeaders": ["X-User"]}
        async with running(tmp_path, model, body) as cluster:
            first, second = [await cluster.replicas.start() for _ in range(2)]
            await idle_pod_at(cluster, second)
            headers = {"Authorization": "Bearer sk-test", "x-user": "mallory-7"}
            body = {"messages": [{"role": "user", "content": "hello"}]}
            answer = await cluster.http.post(f"{first.url}/v1/chat/completions", json=body, headers=headers)
            assert answer.status_code == 200
            assert cluster.run()["status"]["start"] == "cold"
            assert await second.idle() == 1

    async def test_several_with_an_idle_pod_give_the_run_one_of_them(self, pool: Pool, model: Model) -> None:
        pool.kubernetes.put(two_replicas(model, 3, observed=2))
        proxies = [await pool.replica() for _ in range(3)]
        for replica in proxies[1:]:
            pool.pod(replica.surface)
        await eventually(lambda: all(replica.idle() == 1 for replica in proxies[1:]))
        assert (await proxies[0].chat()).status_code == 200
        await eventually(lambda: sum(replica.idle() for replica in proxies) == 1)


def two_replicas(model: Model, count: int = 2, script: str = "instant", *, observed: int = 1) -> Object:
    body = warm_instance(model, script, observed=observed)
    body["spec"]["webEndpoint"] |= {"enabled": True, "replicas": count}
    return body


@pytest.mark.parametrize("dies", [True, False])
async def test_a_run_that_waits_survives_its_replica(tmp_path: Path, model: Model, *, dies: bool) -> None:
    async with running(tmp_path, model, two_replicas(model)) as cluster:
        first, second = [await cluster.replicas.start() for _ in range(2)]
        for _ in range(2):  # so that both replicas expect further pods
            await cluster.idle_pod()
        asking = [asyncio.create_task(cluster.chat(f"used {number}", at=second)) for number in range(2)]
        assert [answer.status_code for answer in await asyncio.gather(*asking)] == [200, 200]
        lost = asyncio.create_task(cluster.chat("waits", at=first))
        await eventually(lambda: len(cluster.kubernetes.names(RUNS)) == 3)
        if dies:
            cluster.replicas.kill(first)
        cluster.node.idle_pod()
        answer = await cluster.chat("waits", at=second)
        assert answer.status_code == 200
        assert len(cluster.pods_asked("waits")) == 1
        await asyncio.gather(lost, return_exceptions=True)

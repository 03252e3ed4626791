"""Idle pods that poll real web-proxies, and the runs that they are bound to: real agents, on real sockets, until they are killed."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.crd_admission import unseen_status
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.fakes.model import Model
from tests.fakes.node import GENERATION, Pod, started
from tests.fakes.pod import FakePod, TokenIssuer
from tests.integration.conftest import KEY, assembled, eventually, warm_instance

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import INSTANCES, RUNS, Object
from sympozium_webproxy.context import WebProxyContext
from sympozium_webproxy.settings import WebProxySettings as ProxySettings

OPEN = unseen_status("agentruns")
BODY = {"messages": [{"role": "user", "content": "hello"}]}


async def left(*asking: "asyncio.Task[Any]") -> None:
    """Cancel the requests of these callers."""
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


@dataclass
class Replica:
    context: WebProxyContext
    surface: str
    http: httpx2.AsyncClient

    def idle(self) -> float:
        return self.context.metrics.registry.get_sample_value("sympozium_idle_pods") or 0

    async def chat(self, **fields: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {KEY}"} | fields.pop("headers", {})
        return await self.http.post("/v1/chat/completions", json=BODY | fields, headers=headers)


@dataclass
class Pool:
    kubernetes: FakeKubernetes
    issuer: TokenIssuer
    directory: Path
    stack: AsyncExitStack
    pods: list[Pod] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def replica(self) -> Replica:
        settings = ProxySettings("default", "demo", "127.0.0.1", api_keys=self.directory)
        made = assembled(self.kubernetes, settings, FakeClock())
        context, _, surface, http = await self.stack.enter_async_context(made)
        return Replica(context, surface, http)

    def pod(self, *surfaces: str, generation: str = GENERATION, ttl: float = 60) -> Pod:
        """Return an idle pod that polls the first of these."""
        job = names.idle_job("demo", generation, f"{next(self.numbers):06x}")
        made = started(job, self.directory, self.issuer, surfaces, ttl=ttl)
        self.pods.append(made)
        return made

    def put_run(self, pod: str | None = None, *, reply_to: str | None = None, name: str = "r1", **meta: str) -> None:
        """Create a run as another replica does for a pod, or as `kubectl apply` does."""
        asked = {"task": "hello"} if pod is None else {"request": BODY}
        claim = {"claim": {"jobName": names.job_of_pod(pod), "podName": pod}} if pod else {}
        about = {"annotations": {names.ANNOTATION_REPLY_TO: reply_to}} if reply_to else {}
        self.kubernetes.put(
            {
                "apiVersion": names.API_VERSION,
                "kind": "AgentRun",
                "metadata": {"name": name} | about | meta,
                "spec": {"agentRef": "demo", "mode": "task"} | asked | claim,
            }
        )

    def run(self, number: int = -1) -> Object:
        return self.kubernetes.object(RUNS, self.kubernetes.names(RUNS)[number])


@pytest.fixture
async def pool(tmp_path: Path, model: Model) -> AsyncIterator[Pool]:
    (tmp_path / "api-key").write_text(KEY)
    kubernetes = FakeKubernetes()
    kubernetes.put(warm_instance(model))
    async with AsyncExitStack() as stack:
        found = Pool(kubernetes, TokenIssuer(kubernetes), tmp_path, stack)
        yield found
        for pod in found.pods:
            pod.task.cancel()
        await asyncio.gather(*(pod.task for pod in found.pods), return_exceptions=True)


async def test_an_idle_pod_answers_a_request_and_exits(pool: Pool) -> None:
    replica = await pool.replica()
    pod = pool.pod(replica.surface)
    await eventually(lambda: replica.idle() == 1)
    answer = await replica.chat()
    assert answer.status_code == 200
    run = pool.run()
    assert run["spec"]["claim"] == {"jobName": names.job_of_pod(pod.name), "podName": pod.name}
    assert run["status"]["podName"] == pod.name
    assert run["status"]["start"] == "warm"
    assert await pod.task == 0
    assert replica.idle() == 0
    assert [(verb, kind) for verb, kind, _ in pool.kubernetes.writes] == [
        ("create", "agentruns"),
        ("patch", "agentruns/status"),
    ]


async def test_without_an_idle_pod_a_run_is_created_without_a_claim_at_once(pool: Pool) -> None:
    replica = await pool.replica()
    asking = asyncio.create_task(replica.chat())
    await eventually(lambda: bool(pool.kubernetes.names(RUNS)))
    assert "claim" not in pool.run()["spec"]
    await left(asking)


async def test_an_idle_pod_of_another_generation_exits(pool: Pool, model: Model) -> None:
    replica = await pool.replica()
    old, new = pool.pod(replica.surface), pool.pod(replica.surface, generation="99999999")
    assert await new.task == 0
    assert "unused" in new.last_words
    await eventually(lambda: replica.idle() == 1)
    pool.kubernetes.put(warm_instance(model, generation="99999999"))
    assert await old.task == 0
    assert "unused" in old.last_words


async def test_no_pod_is_claimed_for_a_spec_newer_than_the_pool(pool: Pool) -> None:
    replica = await pool.replica()
    pool.pod(replica.surface)
    await eventually(lambda: replica.idle() == 1)
    pool.kubernetes.put({**pool.kubernetes.object(INSTANCES, "demo"), "spec": {"maxQueuedRuns": 8}})
    await eventually(lambda: replica.context.instance_cache.served().instance.spec.max_queued_runs == 8)
    asking = asyncio.create_task(replica.chat())
    await eventually(lambda: bool(pool.kubernetes.names(RUNS)))
    assert "claim" not in pool.run()["spec"]
    await left(asking)


async def test_runs_beyond_max_concurrent_runs_wait_in_the_operators_queue(pool: Pool, model: Model) -> None:
    pool.kubernetes.put(warm_instance(model, "slow:10:10", observed=2, maxConcurrentRuns=1))
    replica = await pool.replica()
    for _ in range(2):
        pool.pod(replica.surface)
    await eventually(lambda: replica.idle() == 2)
    asking = [asyncio.create_task(replica.chat()) for _ in range(2)]
    await eventually(lambda: len(pool.kubernetes.names(RUNS)) == 2)
    assert ["claim" in pool.run(number)["spec"] for number in (0, 1)] == [True, False]
    await left(*asking)


async def test_an_idle_pod_exits_at_its_deadline_and_reports_that_it_was_not_used(pool: Pool) -> None:
    pod = pool.pod("http://127.0.0.1:9", ttl=0.05)
    assert await pod.task == 0
    assert "unused" in pod.last_words


class TestForwardedHeaders:
    @pytest.mark.parametrize("warm", [True, False])
    async def test_forwarded_headers_reach_the_model_and_are_stored_nowhere(
        self, pool: Pool, model: Model, *, warm: bool
    ) -> None:
        body = warm_instance(model, observed=2)
        body["spec"]["agents"]["default"] |= {"forwardHeaders": ["X-User"], "providerHeaders": {"x-team": "blue"}}
        pool.kubernetes.put(body)
        replica = await pool.replica()
        if warm:
            pool.pod(replica.surface)
            await eventually(lambda: replica.idle() == 1)
        sent = {"x-user": "mallory-7", "x-team": "red", "x-other": "no"}
        asking = asyncio.create_task(replica.chat(headers=sent))
        if not warm:
            await eventually(lambda: bool(pool.kubernetes.names(RUNS)))
            pod = FakePod(pool.run(), pool.issuer, replica.surface)
            task = (await pod.task()).json()
            assert task["model"]["headers"] == {"x-user": "mallory-7", "x-team": "blue"}
            await pod.answer("Hi")
        answer = await asking
        assert answer.status_code == 200
        if warm:
            assert model.last["headers"]["x-user"] == "mallory-7"
            assert model.last["headers"]["x-team"] == "blue"
        assert "mallory" not in str(pool.kubernetes.objects)

    async def test_a_header_that_cannot_be_forwarded_is_refused_before_a_run(self, pool: Pool, model: Model) -> None:
        body = warm_instance(model, observed=2)
        body["spec"]["agents"]["default"] |= {"forwardHeaders": ["X-User"]}
        pool.kubernetes.put(body)
        answer = await (await pool.replica()).chat(headers={"x-user": "José".encode()})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_header", "x-user")
        assert "Jos" not in answer.text
        assert not pool.kubernetes.names(RUNS)

    async def test_a_replica_without_the_forwarded_headers_does_not_hand_out_the_task(
        self, pool: Pool, model: Model
    ) -> None:
        body = warm_instance(model, observed=2)
        body["spec"]["agents"]["default"] |= {"forwardHeaders": ["x-user"]}
        pool.kubernetes.put(body)
        first, second = await pool.replica(), await pool.replica()
        asking = asyncio.create_task(first.chat(headers={"x-user": "mallory-7"}))
        await eventually(lambda: bool(pool.kubernetes.names(RUNS)))
        asked = await FakePod(pool.run(), pool.issuer, second.surface).task()
        assert asked.status_code == 410
        assert (await asking).status_code == 502
        assert pool.run()["status"]["error"]["type"] == "caller_lost"


class TestFailedClaims:
    async def test_a_run_that_the_api_server_refuses_leaves_the_pod_idle(self, pool: Pool) -> None:
        replica = await pool.replica()
        pool.pod(replica.surface)
        await eventually(lambda: replica.idle() == 1)
        pool.kubernetes.refuse("create", RUNS, api_error(422, "Invalid"))
        assert (await replica.chat()).status_code == 400
        await eventually(lambda: replica.idle() == 1)
        assert (await replica.chat()).status_code == 200

    async def test_a_run_that_may_have_been_created_costs_the_pod(self, pool: Pool) -> None:
        replica = await pool.replica()
        pod = pool.pod(replica.surface)
        await eventually(lambda: replica.idle() == 1)
        pool.kubernetes.refuse("create", RUNS, ApiUnavailable("away"))
        assert (await replica.chat()).status_code == 503
        assert await pod.task == 0
        assert "unused" in pod.last_words

    async def test_a_claimed_pod_that_left_makes_its_run_start_cold(self, pool: Pool) -> None:
        replica = await pool.replica()
        pod = pool.pod(replica.surface)
        await eventually(lambda: replica.idle() == 1)
        gone = asyncio.Event()
        created = pool.kubernetes.create

        async def slowly(*args: Any, **kwargs: Any) -> Object:
            pod.kill()
            await asyncio.gather(pod.task, return_exceptions=True)
            await gone.wait()
            return await created(*args, **kwargs)

        pool.kubernetes.create = slowly  # type: ignore[method-assign]
        asking = asyncio.create_task(replica.chat())
        await eventually(pod.task.done)
        in_flight = "sympozium_pod_requests_in_flight"
        await eventually(lambda: replica.context.metrics.registry.get_sample_value(in_flight) == 0)
        gone.set()
        await eventually(lambda: bool(pool.kubernetes.names(RUNS)) and "start" in pool.run()["status"])
        assert pool.run()["status"] == {"start": "cold"} | OPEN
        await left(asking)

    async def test_a_pod_that_polls_again_before_its_disconnect_is_noticed_is_bound_to_its_run(
        self, pool: Pool
    ) -> None:
        replica = await pool.replica()
        name = f"{names.idle_job('demo', GENERATION, '0' * 6)}-abcde"
        headers = {"Authorization": f"Bearer {pool.issuer.token(name, 'demo-agent')}"}
        in_flight = "sympozium_pod_requests_in_flight"
        async with httpx2.AsyncClient(timeout=60, headers=headers) as http:
            url = f"{replica.surface}/instances/demo/task?lost=1"
            asking = [asyncio.create_task(http.get(url)) for _ in range(2)]
            await eventually(lambda: replica.context.metrics.registry.get_sample_value(in_flight) == 2)
            pool.put_run(name, reply_to="http://192.0.2.1:8081")
            answers = await asyncio.gather(*asking)
        assert [answer.json()["run"] for answer in answers] == ["r1", "r1"]
        assert pool.run()["status"] == {"start": "warm"} | OPEN

    async def test_a_pod_that_polls_again_is_not_bound_to_a_run_that_has_started_cold(self, pool: Pool) -> None:
        replica = await pool.replica()
        name = f"{names.idle_job('demo', GENERATION, '0' * 6)}-abcde"
        pool.put_run(name)
        pool.kubernetes.meanwhile(
            "patch", RUNS, lambda: pool.kubernetes.put(pool.run() | {"status": {"start": "cold"}})
        )
        headers = {"Authorization": f"Bearer {pool.issuer.token(name, 'demo-agent')}"}
        async with httpx2.AsyncClient(timeout=60) as http:
            again = await http.get(f"{replica.surface}/instances/demo/task?lost=1", headers=headers)
        assert again.status_code == 204
        assert pool.run()["status"] == {"start": "cold"} | OPEN


class TestAuthorization:
    @pytest.mark.parametrize(("generation", "status"), [(GENERATION, 200), ("99999999", 410)])
    async def test_only_a_pod_of_the_current_generation_gets_warmup_hints(
        self, pool: Pool, model: Model, generation: str, status: int
    ) -> None:
        replica = await pool.replica()
        name = f"{names.idle_job('demo', generation, '0' * 6)}-abcde"
        headers = {"Authorization": f"Bearer {pool.issuer.token(name, 'demo-agent')}"}
        async with httpx2.AsyncClient(timeout=60) as http:
            asked = await http.get(f"{replica.surface}/instances/demo/prospect", headers=headers)
        assert asked.status_code == status
        if status == 200:
            assert asked.json() == {"baseURL": model.url, "env": {}, "provider": "openai_compat"}

    @pytest.mark.parametrize(
        ("pod", "account"),
        [
            ("demo-1234-0a1b2c3d-abcde", "demo-agent"),
            ("demo-warm-0a1b2c3d-0a1b2c3d-abcde", "demo-agent"),
            ("demo-warm-0a1b2c3d-000000-abcde", "other-agent"),
        ],
    )
    async def test_only_an_idle_pod_of_the_instance_may_poll(self, pool: Pool, pod: str, account: str) -> None:
        replica = await pool.replica()
        headers = {"Authorization": f"Bearer {pool.issuer.token(pod, account)}"}
        async with httpx2.AsyncClient(timeout=60) as http:
            asked = await http.get(f"{replica.surface}/instances/demo/task", headers=headers)
        assert asked.status_code == 403

    async def test_the_pod_of_another_run_does_not_get_a_claimed_runs_task(self, pool: Pool) -> None:
        replica = await pool.replica()
        pool.pod(replica.surface)
        await eventually(lambda: replica.idle() == 1)
        assert (await replica.chat()).status_code == 200
        run = pool.run()
        cold = f"{names.job(run['metadata']['name'], run['metadata']['uid'])}-abcde"
        headers = {"Authorization": f"Bearer {pool.issuer.token(cold, 'demo-agent')}"}
        async with httpx2.AsyncClient(timeout=60) as http:
            asked = await http.get(f"{replica.surface}/runs/{run['metadata']['name']}/task", headers=headers)
        assert asked.status_code == 403


async def test_a_run_reaches_its_pod_at_another_replica_before_the_claiming_replica_notices_that_the_pod_left(
    pool: Pool,
) -> None:
    replica = await pool.replica()
    pod = pool.pod(replica.surface)
    await eventually(lambda: replica.idle() == 1)
    pool.put_run(pod.name, reply_to="http://127.0.0.1:9")
    assert await pod.task == 0
    assert pool.run()["status"]["phase"] == "Succeeded"
    assert pool.run()["status"]["start"] == "warm"


async def test_a_run_created_by_kubectl_apply_is_bound_to_an_idle_pod(pool: Pool) -> None:
    replicas = [await pool.replica() for _ in range(3)]
    for replica in replicas:
        pool.pod(replica.surface)
    await eventually(lambda: all(replica.idle() == 1 for replica in replicas))
    pool.put_run()
    await eventually(lambda: pool.run().get("status", {}).get("phase") == "Succeeded")
    assert pool.run()["status"]["start"] == "warm"
    await eventually(lambda: sum(replica.idle() for replica in replicas) == 2)


async def test_a_run_that_waited_is_not_bound_to_an_idle_pod_because_its_timeout_would_have_begun(pool: Pool) -> None:
    replica = await pool.replica()
    for _ in range(2):
        pool.pod(replica.surface)
    await eventually(lambda: replica.idle() == 2)
    pool.put_run(name="old", creationTimestamp="2025-12-31T23:59:00Z")
    pool.put_run(name="young", creationTimestamp="2025-12-31T23:59:50Z")
    await eventually(lambda: pool.kubernetes.object(RUNS, "young").get("status", {}).get("phase") == "Succeeded")
    assert pool.kubernetes.object(RUNS, "young")["status"]["start"] == "warm"
    assert (
        pool.kubernetes.object(RUNS, "young")["status"]["startedAt"] >= "2026-01-01T00:00:00Z"
    )  # its timeout counts from then
    assert pool.kubernetes.object(RUNS, "old")["status"] == OPEN

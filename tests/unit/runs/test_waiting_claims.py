"""Idle pods for runs that wait, at one replica: which run gets the pod, and which one gets none."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.virtual_time import rest

from sympozium_api import names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_api.timestamps import timestamp
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.background_writes import BackgroundWrites
from sympozium_runs.claims import Claims
from sympozium_runs.idle_pods import IdlePods, Poll
from sympozium_runs.run_queue import RunQueues
from sympozium_runs.run_store import RunStore
from sympozium_runs.waiting_runs import WaitingRuns


class Replica:
    """A replica of the web-proxy of an instance that has a warm pool and works on ``slots`` runs at a time."""

    def __init__(self, slots: int = 1, provider_ref: str | None = None) -> None:
        self.clock = FakeClock()
        self.cluster = FakeKubernetes(self.clock.now)
        metrics = AgentApiMetrics()
        self.idle, self.queues = IdlePods("http://10.0.0.1:8081", metrics), RunQueues()
        writes = BackgroundWrites(self.queues.__contains__, metrics.refused_writes)
        self.claims = Claims(RunStore(self.cluster, self.clock), self.idle, self.queues, writes, self.clock)
        self.change(provider_ref, slots)

    def change(self, provider_ref: str | None, slots: int = 1) -> None:
        """Let the instance be another one."""
        status = {"observedGeneration": 1, "warmPool": {"generation": "01234567", "idle": 0}}
        metadata = {"name": "demo", "namespace": "default", "generation": 1}
        spec = {"maxConcurrentRuns": slots, "agents": {"default": {"model": "m", "providerRef": provider_ref}}}
        instance = SympoziumInstance.model_validate({"metadata": metadata, "spec": spec, "status": status})
        self.idle.on_instance_change(instance)

    def see(
        self, name: str, key_id: str = "", *, of: str = "demo", model: dict[str, str] | None = None, **status: Any
    ) -> None:
        """See a run that somebody has made."""
        created = timestamp(self.clock.now())
        run = {
            "apiVersion": names.API_VERSION,
            "kind": "AgentRun",
            "metadata": {"name": name, "namespace": "default", "creationTimestamp": created},
            "spec": {"agentRef": of, "task": "x"} | ({"model": model} if model else {}),
            "status": status,
        }
        run["metadata"]["annotations"] = {names.ANNOTATION_KEY_ID: key_id} if key_id else {}  # type: ignore[index]
        self.queues.add(("default", name), ("default", of), key_id)
        self.claims.on_run_created(AgentRun.model_validate(self.cluster.put(run)))

    def end(self, name: str) -> None:
        """See that a run has ended."""
        self.queues.remove(("default", name))
        self.claims.forget(("default", name))

    @asynccontextmanager
    async def idle_pod(self, token: str = "012345") -> AsyncIterator[Poll]:
        """An idle pod that polls here."""
        with self.idle.poll(f"demo-warm-01234567-{token}-abcde") as poll:
            self.idle.make_claimable(poll)
            await rest()
            yield poll

    def pod_of(self, name: str) -> str | None:
        found: str | None = self.cluster.object(RUNS, name)["status"].get("podName")
        return found


@pytest.fixture
async def replica() -> Replica:
    replica = Replica()
    replica.see("works", "a", phase="Running", jobName="works", start="cold")
    return replica


async def test_a_run_that_waits_gets_the_idle_pod_once_another_run_has_ended(replica: Replica) -> None:
    replica.see("waits")
    async with replica.idle_pod():
        assert replica.pod_of("waits") is None
        replica.end("works")
        await rest()
        assert replica.pod_of("waits") == "demo-warm-01234567-012345-abcde"


async def test_a_run_that_has_waited_for_long_starts_cold_because_its_time_would_be_over(replica: Replica) -> None:
    replica.see("waits")
    replica.clock.advance(100)
    async with replica.idle_pod() as poll:
        replica.end("works")
        await rest()
        assert replica.pod_of("waits") is None
        assert not poll.is_claimed


async def test_the_pod_goes_to_the_key_with_the_fewest_runs_at_work_as_in_the_operators_queue() -> None:
    replica = Replica(slots=2)
    for name in ("first", "second"):
        replica.see(name, "a", phase="Running", jobName=name, start="cold")
    replica.see("a1", "a")
    replica.clock.advance(1)
    replica.see("b1", "b")
    async with replica.idle_pod() as poll:
        replica.end("first")
        await rest()
        assert replica.pod_of("b1") == poll.pod
        assert replica.pod_of("a1") is None


async def test_no_run_of_another_instance_gets_the_idle_pod(replica: Replica) -> None:
    replica.see("waits", of="other")
    replica.end("works")
    async with replica.idle_pod() as poll:
        await rest()
        assert replica.pod_of("waits") is None
        replica.see("own")
        await rest()
        assert replica.pod_of("own") == poll.pod


@pytest.mark.parametrize(("provider", "claims"), [("claude", True), ("other", False)])
async def test_an_idle_pod_has_the_key_of_its_instances_own_provider_only(provider: str, claims: bool) -> None:
    replica = Replica(provider_ref="claude")
    replica.see("waits", model={"providerRef": provider, "model": "m"})
    async with replica.idle_pod() as poll:
        assert (replica.pod_of("waits") == poll.pod) == claims


async def test_a_run_that_waits_gets_no_pod_once_its_instance_has_another_provider() -> None:
    replica = Replica(provider_ref="claude")
    replica.see("waits", model={"providerRef": "claude", "model": "m"})
    replica.change("other")
    async with replica.idle_pod():
        assert replica.pod_of("waits") is None


def test_a_run_that_has_ended_while_its_binding_failed_waits_no_longer() -> None:
    waiting = WaitingRuns()
    run = AgentRun.model_validate({"metadata": {"name": "q", "namespace": "default"}, "spec": {"agentRef": "demo"}})
    waiting.add(run)
    assert waiting.take(Counter()) is run
    waiting.forget(run.key)
    waiting.put_back(run)
    assert len(waiting) == 0

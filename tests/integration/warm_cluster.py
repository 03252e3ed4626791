"""A small cluster with a warm pool: the operator's reconciler of runs, web-proxies in processes of their own, agents in this one.

Any of them may be killed. API server, kubelet and Services are imitated; operator, web-proxies and agents are real.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from tests.fakes.api_server import ApiServer, kubeconfig
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.model import Model, Request
from tests.fakes.node import Node, Pod
from tests.fakes.replica import KEY
from tests.fakes.replicas import Replica, Replicas
from tests.fakes.service import Service, service
from tests.integration.conftest import eventually, listening

from sympozium_api.client import ApiError, ApiUnavailable, ResourceType
from sympozium_api.clock import SystemClock
from sympozium_api.resources import RUNS, Object
from sympozium_api.run import AgentRun
from sympozium_api.run_status import TERMINAL_PHASES
from sympozium_operator.operator_settings import from_environment
from sympozium_operator.result import Key, RetryLater
from sympozium_operator.wiring import wire

RECONCILE_SECONDS = 0.1
"""Seconds between two reconciles of a run."""


@dataclass(eq=False)
class Cluster:
    """The cluster, as a test sees it."""

    kubernetes: FakeKubernetes
    model: Model
    node: Node
    replicas: Replicas
    surface: Service
    """The Service by which pods reach any replica."""
    http: httpx2.AsyncClient
    asked: Counter[tuple[str, str]]
    """Calls of the model, by pod and by question."""

    async def chat(self, text: str, *, at: Replica) -> httpx2.Response:
        """Send a caller's request to a replica. A repeated request gets the same run's answer."""
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": text}
        body = {"messages": [{"role": "user", "content": text}]}
        return await self.http.post(f"{at.url}/v1/chat/completions", json=body, headers=headers)

    async def idle(self, count: int, *replicas: Replica) -> None:
        """Wait until these replicas hold the polls of so many pods."""
        async with asyncio.timeout(60):
            while sum([await replica.idle() for replica in replicas or self.replicas.ready]) != count:
                await asyncio.sleep(0.01)

    async def idle_pod(self) -> Pod:
        """Start a pod, and wait until a replica holds its poll."""
        count = sum([await replica.idle() for replica in self.replicas.ready])
        pod = self.node.idle_pod()
        await self.idle(count + 1)
        return pod

    async def idle_process(self) -> Pod:
        """Start a pod in a process of its own, and wait until a replica holds its poll."""
        count = sum([await replica.idle() for replica in self.replicas.ready])
        pod = await self.node.idle_process()
        await self.idle(count + 1)
        return pod

    def run(self) -> Object:
        """Return the only run."""
        [name] = self.kubernetes.names(RUNS)
        return self.kubernetes.object(RUNS, name)

    def status(self) -> Object:
        """Return the status of the only run; empty where there is none."""
        found: Object = self.run().get("status", {}) if self.kubernetes.names(RUNS) else {}
        return found

    async def ended(self) -> Object:
        """Return the status of the only run, once it has ended."""
        await eventually(lambda: self.kubernetes.names(RUNS) != [] and has_ended(self.run()))
        return self.status()

    def pods_asked(self, text: str) -> list[str]:
        """Return the pods that have sent this question to the model, each as often as it did."""
        return [pod for (pod, asked), times in self.asked.items() if asked == text for _ in range(times)]


def has_ended(run: Object) -> bool:
    """Return whether a run has its terminal status."""
    return run.get("status", {}).get("phase") in TERMINAL_PHASES


class Held:
    """A call of the API server that a test holds."""

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self._go = asyncio.Event()
        self._drops = False

    async def comes(self) -> None:
        """Wait until the call is held."""
        async with asyncio.timeout(60):
            await self._came.wait()

    @property
    def has_come(self) -> bool:
        """True once the call was held."""
        return self._came.is_set()

    async def wait(self) -> None:
        """Hold the call until the test lets it continue or drops it."""
        self._came.set()
        await self._go.wait()
        if self._drops:
            raise ApiUnavailable("it never arrived")

    def go(self) -> None:
        """Let the call continue."""
        self._go.set()

    def drop(self) -> None:
        """Lose the call, or its answer."""
        self._drops = True
        self._go.set()


@asynccontextmanager
async def holding(
    kubernetes: FakeKubernetes, verb: str, kind: ResourceType, *, done: bool = False
) -> AsyncIterator[Held]:
    """Hold the next call of this verb and kind before it is done, or when it is ``done`` and not answered."""
    held, original = Held(), getattr(kubernetes, verb)

    async def call(of: ResourceType, *args: Any, **kwargs: Any) -> Any:
        if of is not kind or held.has_come:
            return await original(of, *args, **kwargs)
        if not done:
            await held.wait()
        found = await original(of, *args, **kwargs)
        if done:
            await held.wait()
        return found

    setattr(kubernetes, verb, call)
    try:
        yield held
    finally:
        setattr(kubernetes, verb, original)
        held.go()


async def _operate(kubernetes: FakeKubernetes) -> None:
    """Reconcile runs as the operator does, until cancelled."""
    settings = from_environment(
        {
            "SYMPOZIUM_AGENT_IMAGE": "example.com/agent:1",
            "SYMPOZIUM_NAMESPACE": "system",
            "SYMPOZIUM_RUNS_URL": "http://runs:8081",
        }
    )
    runs = wire(client=kubernetes, clock=SystemClock(), settings=settings).dispatcher.runs
    seen: set[str] = set()
    while True:
        for name in seen - set(kubernetes.names(RUNS)):
            runs.gone(Key("run", "default", name))
        seen = set(kubernetes.names(RUNS))
        for name in seen:
            try:
                run = AgentRun.model_validate(await kubernetes.get(RUNS, "default", name))
                if not run.ended:
                    await runs.reconcile(run)
            except (ApiError, RetryLater):  # somebody was quicker: the next reconcile sees the new state
                continue
        await asyncio.sleep(RECONCILE_SECONDS)


@asynccontextmanager
async def running(folder: Path, model: Model, instance: Object, *, operates: bool = True) -> AsyncIterator[Cluster]:
    """Run a cluster with this instance, whose model counts its calls; it begins without replicas and pods.

    ``operates``: False for a cluster whose operator is away.
    """
    kubernetes = FakeKubernetes(SystemClock().now)
    kubernetes.put(instance)
    asked: Counter[tuple[str, str]] = Counter()

    def hear(request: Request) -> None:
        content = json.loads(request.body)["messages"][-1]["content"]
        asked[request.headers["authorization"].removeprefix("Bearer "), content] += 1

    model.hear = hear
    async with AsyncExitStack() as stack:
        api_server = await stack.enter_async_context(listening(ApiServer(kubernetes).app()))
        surface = await stack.enter_async_context(service())
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=60))
        written = folder / "kubeconfig"
        written.write_text(json.dumps(kubeconfig(api_server)))
        replicas = Replicas(folder, written, surface, http)
        node = Node(kubernetes, folder / "pods", surface.url)
        tasks = [asyncio.create_task(work) for work in (node.run(), *([_operate(kubernetes)] if operates else []))]
        try:
            yield Cluster(kubernetes, model, node, replicas, surface, http, asked)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await node.close()
            for replica in list(replicas.ready):
                replicas.kill(replica)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

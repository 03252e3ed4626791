"""A small cluster with a warm pool: the operator's reconciler of runs, web-proxies in processes of their own, agents in this one.

Any of them may be killed. What the API server, the kubelet and the Services do is imitated; what is ours is real.
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
from tests.fakes.kubernetes import FakeKubernetes, Object
from tests.fakes.model import Model, Request
from tests.fakes.node import Node, Pod
from tests.fakes.replica import KEY
from tests.fakes.replicas import Replica, Replicas
from tests.fakes.service import Service, service
from tests.integration.conftest import eventually, listening

from sympozium_api.client import ApiError, ApiUnavailable, ResourceType
from sympozium_api.clock import SystemClock
from sympozium_api.resources import RUNS
from sympozium_api.run import TERMINAL_PHASES, AgentRun
from sympozium_operator.operator_settings import from_environment
from sympozium_operator.result import Key, RetryLater
from sympozium_operator.wiring import wire

LOOK_SECONDS = 0.1
"""Between the operator's looks at a run."""


@dataclass(eq=False)
class Cluster:
    """All of it, as a test sees it."""

    kubernetes: FakeKubernetes
    model: Model
    node: Node
    replicas: Replicas
    surface: Service
    """Where pods reach any replica."""
    http: httpx2.AsyncClient
    asked: Counter[tuple[str, str]]
    """How often the model was asked, by pod and by what it was asked."""

    async def chat(self, text: str, *, at: Replica) -> httpx2.Response:
        """A caller's request to a replica; who asks the same again gets the same run's answer."""
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": text}
        body = {"messages": [{"role": "user", "content": text}]}
        return await self.http.post(f"{at.url}/v1/chat/completions", json=body, headers=headers)

    async def idle(self, count: int, *replicas: Replica) -> None:
        """Wait until so many pods wait at these replicas."""
        async with asyncio.timeout(10):
            while sum([await replica.idle() for replica in replicas or self.replicas.ready]) != count:
                await asyncio.sleep(0.01)

    async def idle_pod(self) -> Pod:
        """A pod that waits at one of the replicas."""
        count = sum([await replica.idle() for replica in self.replicas.ready])
        pod = self.node.idle_pod()
        await self.idle(count + 1)
        return pod

    def run(self) -> Object:
        """The only run."""
        [name] = self.kubernetes.names(RUNS)
        return self.kubernetes.object(RUNS, name)

    def status(self) -> Object:
        """That of the only run; empty where there is none."""
        found: Object = self.run().get("status", {}) if self.kubernetes.names(RUNS) else {}
        return found

    async def ended(self) -> Object:
        """The status of the only run, once it has ended."""
        await eventually(lambda: self.kubernetes.names(RUNS) != [] and has_ended(self.run()))
        return self.status()

    def pods_asked(self, text: str) -> list[str]:
        """The pods that have asked the model this, each as often as it did."""
        return [pod for (pod, asked), times in self.asked.items() if asked == text for _ in range(times)]


def has_ended(run: Object) -> bool:
    """Whether a run has its terminal status."""
    return run.get("status", {}).get("phase") in TERMINAL_PHASES


class Held:
    """A call of the API server that waits where a test lets it wait."""

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self._go = asyncio.Event()
        self._drops = False

    async def comes(self) -> None:
        """Wait until the call is held."""
        async with asyncio.timeout(5):
            await self._came.wait()

    @property
    def has_come(self) -> bool:
        """Whether it is, or was."""
        return self._came.is_set()

    async def wait(self) -> None:
        """Be held, until the test says how it goes on."""
        self._came.set()
        await self._go.wait()
        if self._drops:
            raise ApiUnavailable("it never arrived")

    def go(self) -> None:
        """It goes on."""
        self._go.set()

    def drop(self) -> None:
        """It never arrived; or its answer never did."""
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
    """What the operator does about runs, without end."""
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
            except (ApiError, RetryLater):  # somebody was quicker: the next look goes by what there is now
                continue
        await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def running(folder: Path, model: Model, instance: Object) -> AsyncIterator[Cluster]:
    """A cluster with this instance, whose model counts who asks it what; without replicas and pods so far."""
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
        http = await stack.enter_async_context(httpx2.AsyncClient(timeout=20))
        written = folder / "kubeconfig"
        written.write_text(json.dumps(kubeconfig(api_server)))
        replicas = Replicas(folder, written, surface, http)
        node = Node(kubernetes, folder / "pods", surface.url)
        tasks = [asyncio.create_task(work) for work in (node.run(), _operate(kubernetes))]
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

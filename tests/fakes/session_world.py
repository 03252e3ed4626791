"""Replicas that start turns of sessions, in front of one API server in memory whose every call takes a moment, and agents that answer."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import run_contents
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import INSTANCES, RUNS, Object, ResourceType
from sympozium_api.run import AgentRun
from sympozium_domain.sessions.patience import Patience
from sympozium_domain.sessions.session import Session
from sympozium_domain.sessions.turns import Turns
from sympozium_http.byte_budget import ByteBudget
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.broker import RunBroker
from sympozium_runs.idle_pods import IdlePods
from sympozium_runs.run_queue import RunQueues
from sympozium_runs.run_request import RunRequest
from sympozium_runs.run_store import RunStore
from sympozium_runs.run_watch import RunWatch
from sympozium_runs.runs import RunHandle, Runs

LONGEST_CALL = 0.002
"""Seconds that a call of the API server takes at most before it is done, and again before its answer comes."""


CACHE_SECONDS = 0.02
"""Seconds by which lists from the API server's cache are late."""


class SlowKubernetes(FakeKubernetes):
    """An API server whose calls interleave, and whose cache is a moment old."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._created: dict[str, float] = {}
        self._removed: list[tuple[float, Object]] = []

    async def create(self, kind: ResourceType, *words: Any, **options: Any) -> Object:
        await self._pause()
        created = await super().create(kind, *words, **options)
        self._created[created["metadata"]["name"]] = asyncio.get_running_loop().time()
        await self._pause()
        return created

    async def get(self, *words: Any) -> Object:
        await self._pause()
        return await super().get(*words)

    async def metadata(self, *words: Any, **options: Any) -> list[Object]:
        found = await super().metadata(*words, **options)
        await self._pause()
        if options.get("resourceVersion") != "0":
            return found
        cached = asyncio.get_running_loop().time() - CACHE_SECONDS
        found += [{"metadata": body["metadata"]} for at, body in self._removed if at > cached]
        return [item for item in found if self._created.get(item["metadata"]["name"], 0) < cached]

    def remove(self, kind: ResourceType, name: str, namespace: str = "default") -> None:
        self._removed.append((asyncio.get_running_loop().time(), self.object(kind, name, namespace)))
        super().remove(kind, name, namespace)

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.random() * LONGEST_CALL)


class Replica:
    """One process that starts turns."""

    def __init__(self, kubernetes: FakeKubernetes, *, most_tokens: int = 32_000) -> None:
        clock, metrics, broker, queues = FakeClock(), AgentApiMetrics(), RunBroker(), RunQueues()
        self.kubernetes, self.given_up = kubernetes, asyncio.Event()
        self.store = RunStore(kubernetes, clock)
        idle = IdlePods("http://10.0.0.1:8081", metrics, of_instance=False)
        self.runs = Runs(self.store, broker, queues, clock, idle=idle, metrics=metrics)
        self.budget = ByteBudget()
        self.turns = Turns(kubernetes, self.runs, self.budget, most_tokens=most_tokens)
        watch = RunWatch(
            kubernetes,
            None,
            None,
            store=self.store,
            broker=broker,
            runs=self.runs,
            queues=queues,
            unreadable=metrics.unreadable,
        )
        self._tasks: set[asyncio.Task[Any]] = {asyncio.create_task(watch.run())}

    async def say(
        self, text: str, *, session: str = "s1", scope: str = "alice", key: str | None = None, seconds: float = 20
    ) -> RunHandle:
        """Start a session's next turn with this question."""
        instance = await self.instance()
        body = {"messages": [{"role": "user", "content": text}]}
        request = RunRequest(body, "api", "token", idempotency_key=key, key_seconds=86400, background=True)
        patience = Patience(seconds, self.given_up)
        return await self.turns.start(instance, Session.of(instance, scope, session), request, patience)

    def says(self, text: str, **words: Any) -> "asyncio.Task[RunHandle]":
        """Do the same in a task that ends with this replica."""
        task = asyncio.create_task(self.say(text, **words))
        self._tasks.add(task)
        return task

    async def instance(self) -> SympoziumInstance:
        return await self.store.instance("default", "demo")

    async def die(self) -> None:
        """End at once, whatever is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def put_instance(kubernetes: FakeKubernetes, **spec: Any) -> None:
    body = {
        "apiVersion": "sympozium.ai/v1alpha1",
        "kind": INSTANCES.kind,
        "metadata": {"name": "demo", "namespace": "default"},
        "spec": {"agents": {"default": {"model": "m"}}, "maxConcurrentRuns": 50, "maxQueuedRuns": 50, **spec},
    }
    kubernetes.put(body)


def turns_of(kubernetes: FakeKubernetes) -> list[Object]:
    """Return all runs, in the order in which they were created."""
    order = [name for verb, plural, name in kubernetes.writes if (verb, plural) == ("create", "agentruns")]
    there = set(kubernetes.names(RUNS))
    return [kubernetes.object(RUNS, name) for name in order if name in there]


def messages_of(run: Object) -> list[str]:
    """Return the contents of the messages of a run's request."""
    members = run_contents.request_members(AgentRun.model_validate(run))
    return [message["content"] for message in json.loads(members["messages"])]


async def quiet(seconds: float = 0.05) -> None:
    """Let what could happen happen."""
    await asyncio.sleep(seconds)


def numbers(runs: list[Object]) -> list[int]:
    return [int(run["metadata"]["name"].rpartition("-")[2]) for run in runs]


def end(kubernetes: FakeKubernetes, name: str, **status: Any) -> None:
    """End a run; it succeeds with an answer to its last message unless told otherwise."""
    run = kubernetes.object(RUNS, name)
    answer = {"phase": "Succeeded", "result": f"re: {messages_of(run)[-1]}"}
    kubernetes.put({**run, "status": status or answer})


@asynccontextmanager
async def answering(kubernetes: FakeKubernetes, seconds: float = 0.002) -> AsyncIterator[None]:
    """Let each run end with an answer, a moment after it was created."""

    async def answer() -> None:
        while True:
            for name in kubernetes.names(RUNS):
                if "phase" not in kubernetes.object(RUNS, name).get("status", {}):
                    end(kubernetes, name)
            await asyncio.sleep(seconds)

    task = asyncio.create_task(answer())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

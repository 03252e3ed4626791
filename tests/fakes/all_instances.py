"""A process that starts runs of all instances and takes their records on its own agent API, as the console does. No pod polls it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.conftest import eventually, listening

from sympozium_api.clock import SystemClock
from sympozium_runs.agent_api import create_agent_api
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.broker import RunBroker
from sympozium_runs.idle_pods import IdlePods
from sympozium_runs.pod_identity import PodTokens
from sympozium_runs.run_queue import RunQueues
from sympozium_runs.run_request import RunRequest
from sympozium_runs.run_store import RunStore
from sympozium_runs.run_watch import RunWatch
from sympozium_runs.runs import RunHandle, Runs


@dataclass
class Door:
    """One such process."""

    surface: str
    store: RunStore
    runs: Runs
    _parts: AsyncExitStack

    async def start(self, text: str, *, instance: str = "demo") -> RunHandle:
        """Start a run of an instance with this question."""
        read = await self.store.instance("default", instance)
        body = {"messages": [{"role": "user", "content": text}]}
        return await self.runs.start(read, RunRequest(body, "api", "token", background=True))

    async def die(self) -> None:
        """End without a warning: its connections break, and it sees and writes nothing more."""
        await self._parts.aclose()


@asynccontextmanager
async def open_door(kubernetes: FakeKubernetes) -> AsyncIterator[Door]:
    """Run such a process, which has listed the open runs."""
    clock, metrics, broker, queues = SystemClock(), AgentApiMetrics(), RunBroker(), RunQueues()
    store = RunStore(kubernetes, clock)
    app = create_agent_api(store, broker, PodTokens(kubernetes), clock, metrics=metrics)
    async with AsyncExitStack() as parts:
        surface = await parts.enter_async_context(listening(app))
        idle = IdlePods(surface, metrics, of_instance=False)
        runs = Runs(store, broker, queues, clock, idle=idle, metrics=metrics)
        watch = RunWatch(
            kubernetes,
            None,
            None,
            store=store,
            broker=broker,
            runs=runs,
            queues=queues,
            unreadable=metrics.unreadable,
        )
        await parts.enter_async_context(_running(watch))
        await eventually(lambda: watch.synced)
        yield Door(surface, store, runs, parts)


@asynccontextmanager
async def _running(watch: RunWatch) -> AsyncIterator[None]:
    watching = asyncio.create_task(watch.run())
    yield
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching

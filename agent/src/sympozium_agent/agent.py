"""One pod's life: fetch the task, open the events request, do the work, deliver its end."""

import asyncio
from collections.abc import Coroutine, MutableMapping
from typing import Any, TypeVar

from sympozium_agent.driver import Driver
from sympozium_agent.log import about, log
from sympozium_agent.runs_client import Outcome, RecordDelivery, RunsClient, TaskRefused, Unused
from sympozium_agent.settings import AgentSettings, Timeouts
from sympozium_agent.termination import termination_message, unused_message
from sympozium_agent.transport.direct import prepare
from sympozium_agent.transport.preconnected import Spare
from sympozium_api.agent_protocol import End, Task, error

DELIVERED = 0
FAILED = 1

T = TypeVar("T")


class Agent:
    """One pod's only run. ``stop`` is set when the pod is to go; ``environ`` receives the task's variables."""

    def __init__(
        self,
        settings: AgentSettings,
        stop: asyncio.Event,
        *,
        environ: MutableMapping[str, str],
        patience: Timeouts | None = None,
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._environ = environ
        self._patience = patience or Timeouts()
        self._spare = Spare()
        self._mailbox = RunsClient(settings.run, settings.addresses, token=settings.token, patience=self._patience)

    async def run(self) -> int:
        """Do the pod's task. The exit code is 0 only when the end of the run is stored, or nobody wants it any more."""
        log("agent_started")
        stopping = asyncio.create_task(self._stop.wait())
        try:
            task = await _first(self._task(), stopping)
            if task is None and self._settings.run is None:
                return self._unused()
            about(task.get("log", {}) if task else {})
            log("task_received" if task else "stopped_without_task")
            code = await self._serve(task, stopping)
            if self._settings.run is None:
                await asyncio.wait({stopping}, timeout=self._patience.linger)
        except Unused:
            return self._unused()
        except TaskRefused as refusal:
            return self._refused(refusal)
        else:
            return code
        finally:
            stopping.cancel()
            self._spare.close()

    async def _task(self) -> Task:
        settings = self._settings
        if settings.run is not None:
            return await self._mailbox.task()
        log("idle")
        preparing = asyncio.create_task(self._prepare())
        try:
            return await self._mailbox.any_task(settings.instance, settings.idle_ttl)
        finally:
            preparing.cancel()

    async def _prepare(self) -> None:
        """Have done by the time a run comes what its call of the model needs."""
        if prospect := await self._mailbox.prospect(self._settings.instance):
            self._environ.update(prospect["env"])
            await prepare(prospect["baseURL"], self._spare)

    async def _serve(self, task: Task | None, stopping: asyncio.Task[Any]) -> int:
        time = asyncio.get_running_loop().time
        deadline = time() + (task["timeoutSeconds"] if task else 0)
        events = RecordDelivery(self._mailbox)
        delivery = asyncio.create_task(events.deliver())
        try:
            work = Driver(events, self._settings.key(), self._environ, self._spare)
            done = await _first(work.run(task), stopping, delivery) if task else None
            end = done or _unfinished(stopped=stopping.done())
            if not delivery.done():
                events.end(end)
                await self._delivered(delivery, stopping, deadline + self._patience.grace - time())
            outcome = delivery.result() if delivery.done() else None
        finally:
            delivery.cancel()
        log("agent_ended", end=end["type"], outcome=outcome.value if outcome else "not_acknowledged")
        if outcome in (None, Outcome.REFUSED):
            self._settings.termination_file.write_text(termination_message(end))
        return DELIVERED if outcome is Outcome.OVER or (outcome is Outcome.STORED and done) else FAILED

    async def _delivered(self, delivery: asyncio.Task[Outcome], stopping: asyncio.Task[Any], seconds: float) -> None:
        """Wait for the acknowledgement; once the pod is to go, only as long as a farewell takes."""
        await asyncio.wait({delivery, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            await asyncio.wait({delivery}, timeout=self._patience.farewell)

    def _unused(self) -> int:
        log("ended_unused")
        self._settings.termination_file.write_text(unused_message())
        return DELIVERED

    def _refused(self, refusal: TaskRefused) -> int:
        log("task_refused", status=refusal.status)
        if refusal.status not in (409, 410):  # then the run's end is known to others
            end = error("task_refused", f"the agent's pod got no task: {refusal}", 502)
            self._settings.termination_file.write_text(termination_message(end))
        return FAILED


def _unfinished(*, stopped: bool) -> End:
    if stopped:
        return error("terminated", "the agent's pod was terminated before the run had ended", 503)
    return error("answer_not_delivered", "no runs surface takes this pod's records", 502)


async def _first(work: Coroutine[Any, Any, T], *others: asyncio.Task[Any]) -> T | None:
    """What ``work`` returns; None when one of the others was done before it, and then it is cancelled."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, *others}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        await asyncio.wait({task})

"""One pod's life: fetch the task, open the events request, drive the run, deliver its end record."""

import asyncio
from collections.abc import Coroutine, MutableMapping
from typing import Any, TypeVar

from sympozium_agent.agent_settings import AgentSettings, Timeouts
from sympozium_agent.driver import Driver
from sympozium_agent.log import bind, log
from sympozium_agent.providers import provider_class
from sympozium_agent.record_delivery import DeliveryOutcome, RecordDelivery
from sympozium_agent.runs_client import RunsClient, TaskRefused, Unused
from sympozium_agent.termination import termination_message, unused_message
from sympozium_agent.transport import ModelTransport
from sympozium_api.agent_protocol import OPENAI_COMPAT, End, Task, error, error_of

DELIVERED = 0
FAILED = 1

T = TypeVar("T")


class Agent:
    """One pod's only run. ``stop`` is set when the pod is to end; ``environ`` receives the task's variables."""

    def __init__(
        self,
        settings: AgentSettings,
        stop: asyncio.Event,
        *,
        environ: MutableMapping[str, str],
        timeouts: Timeouts | None = None,
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._environ = environ
        self._timeouts = timeouts or Timeouts()
        self._transport = ModelTransport()
        self._client = RunsClient(settings.run, settings.addresses, token=settings.token, timeouts=self._timeouts)

    async def run(self) -> int:
        """Carry out the pod's task. The exit code is 0 only if the run's end is stored, or no longer wanted."""
        log("agent_started")
        stopping = asyncio.create_task(self._stop.wait())
        try:
            task = await _first(self._task(), stopping)
            if task is None and self._settings.run is None:
                return self._unused()
            bind(task.get("log", {}) if task else {})
            log("task_received" if task else "stopped_without_task")
            code = await self._serve(task, stopping)
            if self._settings.run is None:
                await asyncio.wait({stopping}, timeout=self._timeouts.idle_exit_delay)
        except Unused:
            return self._unused()
        except TaskRefused as refusal:
            return self._refused(refusal)
        else:
            return code
        finally:
            stopping.cancel()
            self._transport.close()

    async def _task(self) -> Task:
        settings = self._settings
        if settings.run is not None:
            return await self._client.task()
        log("idle")
        warming_up = asyncio.create_task(self._warm_up())
        try:
            return await self._client.claimed_task(settings.instance, settings.idle_ttl)
        finally:
            warming_up.cancel()

    async def _warm_up(self) -> None:
        """Prepare the call of the model before a run claims the pod."""
        if hints := await self._client.warmup_hints(self._settings.instance):
            self._environ.update(hints["env"])
            provider_class(hints.get("provider", OPENAI_COMPAT))
            await self._transport.prepare(hints["baseURL"])

    async def _serve(self, task: Task | None, stopping: asyncio.Task[Any]) -> int:
        time = asyncio.get_running_loop().time
        deadline = time() + (task["timeoutSeconds"] if task else 0)
        records = RecordDelivery(self._client)
        delivery = asyncio.create_task(records.deliver())
        try:
            driver = Driver(records, self._settings.key(), self._environ, self._transport)
            work = None if self._stop.is_set() else task
            finished = await _first(driver.run(work), stopping, delivery) if work else None
            is_stopped = self._stop.is_set()
            may_release = self._settings.run is None and not self._transport.may_have_sent
            is_unasked = task is not None and not finished and is_stopped and may_release
            if is_unasked and await self._client.release(self._timeouts.shutdown_grace / 2):
                return self._unused()
            end = finished or _unfinished(stopped=is_stopped)
            if not delivery.done():
                records.end(end)
                await self._delivered(delivery, stopping, deadline + self._timeouts.delivery_grace - time())
            outcome = delivery.result() if delivery.done() else None
        finally:
            delivery.cancel()
        log("agent_ended", end=end["type"], outcome=outcome.value if outcome else "not_acknowledged")
        if outcome in (None, DeliveryOutcome.REFUSED):
            self._settings.termination_file.write_text(termination_message(end))
        is_delivered = outcome is DeliveryOutcome.OVER or (outcome is DeliveryOutcome.STORED and finished)
        return DELIVERED if is_delivered else FAILED

    async def _delivered(
        self, delivery: asyncio.Task[DeliveryOutcome], stopping: asyncio.Task[Any], seconds: float
    ) -> None:
        """Wait for the acknowledgement; once the pod is to end, for the shutdown grace at most."""
        await asyncio.wait({delivery, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            await asyncio.wait({delivery}, timeout=self._timeouts.shutdown_grace)

    def _unused(self) -> int:
        log("ended_unused")
        self._settings.termination_file.write_text(unused_message())
        return DELIVERED

    def _refused(self, refusal: TaskRefused) -> int:
        log("task_refused", status=refusal.status)
        if refusal.status not in (409, 410):  # these say that the run's end is stored, or another pod's to report
            end = error_of("task_refused", f"the agent's pod got no task: {refusal}", 502)
            self._settings.termination_file.write_text(termination_message(end))
        return FAILED


def _unfinished(*, stopped: bool) -> End:
    if stopped:
        return error("terminated", "The agent's pod was terminated before the run had ended.", 503)
    return error("answer_not_delivered", "No replica of the agent API accepts this pod's records.", 502)


async def _first(work: Coroutine[Any, Any, T], *others: asyncio.Task[Any]) -> T | None:
    """Return the result of ``work``; cancel it and return None if one of the other tasks ends before it."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, *others}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        await asyncio.wait({task})

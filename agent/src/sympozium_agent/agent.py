"""One pod's life: fetch the task, open the events request, drive the run, deliver its end record.

Two threads do a run: the main one calls the model, the other one delivers the records. While the main one waits for the task,
another one warms up: it imports what calls the model and, in an idle pod, connects to it.
"""

from __future__ import annotations

from sympozium_agent.agent_settings import Timeouts
from sympozium_agent.log import bind, log, log_failure
from sympozium_agent.record_delivery import DeliveryOutcome, RecordDelivery
from sympozium_agent.runs_client import RunsClient, TaskRefused, Unused
from sympozium_agent.termination import termination_message, unused_message
from sympozium_agent.transport import ModelTransport
from sympozium_agent.waiting import Background, Cancelled, Event, Scope
from sympozium_api.agent_protocol import OPENAI_COMPAT, error, error_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from sympozium_agent.agent_settings import AgentSettings
    from sympozium_agent.transport.tunnel import Guard
    from sympozium_api.agent_records import End, Task

DELIVERED = 0
FAILED = 1


class Agent:
    """One pod's only run. ``stop`` is set when the pod is to end; ``environ`` receives the task's variables.

    When ``scope`` ends, everything does, as if the process were killed.
    """

    def __init__(
        self,
        settings: AgentSettings,
        stop: Event,
        *,
        environ: MutableMapping[str, str],
        timeouts: Timeouts | None = None,
        scope: Scope | None = None,
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._environ = environ
        self._timeouts = timeouts or Timeouts()
        self._scope = scope or Scope()
        self._transport = ModelTransport(_guard(settings))
        self._client = RunsClient(settings.run, settings.addresses, token=settings.token, timeouts=self._timeouts)

    def run(self) -> int:
        """Carry out the pod's task. The exit code is 0 only if the run's end is stored, or no longer wanted."""
        log("agent_started")
        try:
            task = self._task()
            if task is None and self._settings.run is None:
                return self._unused()
            bind(task.get("log", {}) if task else {})
            log("task_received" if task else "stopped_without_task")
            code = self._serve(task)
            if self._settings.run is None:
                self._scope.wait(self._stop, seconds=self._timeouts.idle_exit_delay)
        except Unused:
            return self._unused()
        except TaskRefused as refusal:
            return self._refused(refusal)
        else:
            return code
        finally:
            self._transport.close()

    def _task(self) -> Task | None:
        """Wait for the pod's task; None if the pod is to end before it has one."""
        settings, scope, is_over = self._settings, self._scope.until(self._stop), Event()
        Background(lambda: self._try_to_warm_up(scope.until(is_over)))
        try:
            if settings.run is not None:
                return self._client.task(scope)
            log("idle")
            return self._client.claimed_task(settings.instance, settings.idle_ttl, scope)
        except Cancelled:
            self._scope.check()
            return None
        finally:
            is_over.set()

    def _try_to_warm_up(self, scope: Scope) -> None:
        try:
            self._warm_up(scope)
        except Exception as failure:  # noqa: BLE001 - the run starts without it, and reports what lasts
            log_failure(failure)

    def _warm_up(self, scope: Scope) -> None:
        """Prepare the call of the model before the task is there."""
        import sympozium_agent.driver  # noqa: PLC0415 - while the task is fetched, not before
        from sympozium_agent.providers import provider_class  # noqa: PLC0415

        if self._settings.run is None and (hints := self._client.warmup_hints(self._settings.instance, scope)):
            scope.check()
            self._environ.update(hints["env"])
            provider_class(hints.get("provider", OPENAI_COMPAT))
            if hints.get("tools"):
                import sympozium_agent.tools.session  # noqa: PLC0415, F401 - only for a run with tools
            self._transport.prepare(hints["baseURL"], scope)

    def _serve(self, task: Task | None) -> int:
        lifetime = self._scope.within(task["timeoutSeconds"] if task else 0)
        records, is_over = RecordDelivery(self._client), Event()
        delivery = Background(lambda: records.deliver(self._scope.until(is_over)))
        try:
            finished = self._drive(task, records, delivery) if task else None
            if task and not finished and self._is_released():
                return self._unused()
            end = finished or _unfinished(stopped=self._stop.is_set())
            if not delivery.ended.is_set():
                records.end(end)
                self._await(delivery, lifetime.remaining() + self._timeouts.delivery_grace)
            outcome: DeliveryOutcome | None = delivery.result() if delivery.ended.is_set() else None
        finally:
            is_over.set()
        log("agent_ended", end=end["type"], outcome=outcome.value if outcome else "not_acknowledged")
        if outcome in (None, DeliveryOutcome.REFUSED):
            self._settings.leave_message(termination_message(end))
        is_delivered = outcome is DeliveryOutcome.OVER or (outcome is DeliveryOutcome.STORED and finished)
        return DELIVERED if is_delivered else FAILED

    def _drive(self, task: Task, records: RecordDelivery, delivery: Background) -> End | None:
        """Return the run's end; None if the pod is to end, or nobody wants the records any more, before that."""
        from sympozium_agent.driver import Driver  # noqa: PLC0415 - see _warm_up
        from sympozium_agent.providers.attempts import Attempts  # noqa: PLC0415

        settings = self._settings
        self._transport.work_for(task["run"])
        attempts = Attempts(
            settings.credentials,
            self._transport,
            backoff=self._timeouts.model_backoff,
            longest_pause=self._timeouts.model_retry_after,
        )
        driver = Driver(records, attempts, self._environ, settings.token)
        scope = self._scope.until(self._stop, delivery.ended)
        try:
            scope.check()
            return driver.run(task, scope)
        except Cancelled:
            self._scope.check()
            return None

    def _is_released(self) -> bool:
        """Give the run back, if the pod was idle, is to end and has not asked the model; return True if the run is another pod's."""
        may_release = self._settings.run is None and not self._transport.may_have_sent
        return (
            self._stop.is_set() and may_release and self._client.release(self._timeouts.shutdown_grace / 2, self._scope)
        )

    def _await(self, delivery: Background, seconds: float) -> None:
        """Wait for the acknowledgement; once the pod is to end, for the shutdown grace at most."""
        self._scope.wait(delivery.ended, self._stop, seconds=seconds)
        if self._stop.is_set():
            self._scope.wait(delivery.ended, seconds=self._timeouts.shutdown_grace)

    def _unused(self) -> int:
        log("ended_unused")
        self._settings.leave_message(unused_message())
        return DELIVERED

    def _refused(self, refusal: TaskRefused) -> int:
        log("task_refused", status=refusal.status)
        if refusal.status not in (409, 410):  # these say that the run's end is stored, or another pod's to report
            end = error_of("task_refused", f"the agent's pod got no task: {refusal}", 502)
            self._settings.leave_message(termination_message(end))
        return FAILED


def _unfinished(*, stopped: bool) -> End:
    if stopped:
        return error("terminated", "The agent's pod was terminated before the run had ended.", 503)
    return error("answer_not_delivered", "No replica of the agent API accepts this pod's records.", 502)


def _guard(settings: AgentSettings) -> Guard | None:
    if not settings.guard_url:
        return None
    from sympozium_agent.transport.tunnel import Guard  # noqa: PLC0415 - only where egress is guarded

    return Guard(settings.guard_url, settings.token, run=settings.run, instance=settings.instance)

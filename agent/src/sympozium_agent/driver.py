"""Driver of the loop: calls the model, forwards every piece as it arrives, and turns any result or failure into an end record."""

from __future__ import annotations

from time import monotonic

from sympozium_agent.completion import CompletionAccumulator, extra_fields
from sympozium_agent.log import log, log_failure
from sympozium_agent.loop import (
    CallModel,
    CallTools,
    Finish,
    Forward,
    LimitExceeded,
    ModelError,
    ModelUnreachable,
    converse,
)
from sympozium_agent.waiting import DeadlineExceeded
from sympozium_api.agent_protocol import error, model_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, MutableMapping
    from typing import Any

    from sympozium_agent.providers.attempts import Attempts
    from sympozium_agent.record_delivery import RecordDelivery
    from sympozium_agent.tools.session import ToolSession
    from sympozium_agent.waiting import Scope
    from sympozium_api.agent_records import Delta, Done, End, Task


class Driver:
    """One task's driver: sends records to ``records``, calls models by ``attempts`` and sets the task's variables in ``environ``.

    ``token`` returns the pod's bearer token, with which its tools are called.
    """

    def __init__(
        self,
        records: RecordDelivery,
        attempts: Attempts,
        environ: MutableMapping[str, str],
        token: Callable[[], str],
    ) -> None:
        self._records = records
        self._attempts = attempts
        self._environ = environ
        self._token = token
        self._session: ToolSession | None = None
        """The task's tools. None: the model is called once."""

    def run(self, task: Task, scope: Scope) -> End:
        """Carry out the task and return its end record, whatever happens. Raises Cancelled, when the scope is, and nothing else."""
        started_at = monotonic()
        end = self._end(task, scope.within(task["timeoutSeconds"]))
        if self._session is not None:
            self._session.complete(end)
        self._attempts.complete(end)
        end["durationMs"] = round((monotonic() - started_at) * 1000)
        return end

    def _end(self, task: Task, scope: Scope) -> End:
        try:
            finish = self._finish(task, scope)
        except DeadlineExceeded:
            return error("timeout", f"The run did not end within {task['timeoutSeconds']:g} s.", 504)
        except ModelError as failure:
            refusal = self._attempts.redacted(failure.refusal)
            unreachable = {"reason": refusal.message} if isinstance(failure, ModelUnreachable) else {}
            log("model_failed", status=failure.status, **unreachable)
            return model_error(refusal, failure.status, kind=failure.kind)
        except LimitExceeded as failure:
            log("limit_exceeded", limit=failure.limit)
            return error("limit_exceeded", str(failure), 422)
        except Exception as failure:  # noqa: BLE001 - without an end record the run would have to be found lost
            log_failure(failure)
            return error("agent_error", f"The agent failed: {type(failure).__name__}.", 500)
        done: Done = {"type": "done", "choices": finish.choices, "usage": finish.usage, "durationMs": 0}
        if finish.extra_fields:
            done["about"] = finish.extra_fields
        return done

    def _finish(self, task: Task, scope: Scope) -> Finish:
        self._environ.update(task["env"])  # before the model is called, because proxies and authorities are among them
        steps = self._steps(task)
        self._attempts.begin(task, self._session.steps if self._session else None)
        step = next(steps)
        while not isinstance(step, Finish):
            step = steps.send(self._result(step, task["run"], scope))
        return step

    def _steps(self, task: Task) -> Generator[CallModel | CallTools | Forward | Finish, Any, None]:
        if task.get("tools"):
            from sympozium_agent.tools.session import ToolSession  # noqa: PLC0415 - only for a run with tools

            self._session = ToolSession.of(task, self._token, self._records.push)
        return self._session.converse() if self._session else converse(task["request"])

    def _result(self, step: CallModel | CallTools | Forward, run: str, scope: Scope) -> Any:
        """Carry out a step and return its result."""
        match step, self._session:
            case Forward(chunks), _:
                self._push(chunks)
            case CallModel(), session if session is not None:
                return session.counted(self._call(step, run, scope))
            case CallModel(), _:
                return self._call(step, run, scope)
            case CallTools(calls), session if session is not None:
                return session.call(calls, scope)
        return None

    def _call(self, call: CallModel, run: str, scope: Scope) -> CompletionAccumulator:
        turn = f"{run}/{call.turn}" if call.turn else run
        completion = CompletionAccumulator(turn, legacy_functions="functions" in call.request)
        log("model_called")
        chunks = self._attempts.stream(call.request, scope)
        try:
            for chunk in chunks:
                if completion.is_empty:
                    log("model_answers")
                self._forward(call, completion.add(chunk))
        finally:
            chunks.close()
        self._attempts.answered(completion.usage)
        self._forward(call, completion.close())
        if completion.usage:
            self._records.push({"type": "usage", "usage": completion.usage})
        return completion

    def _forward(self, call: CallModel, chunks: list[dict[str, Any]]) -> None:
        self._push(chunks if call.edit is None else [piece for chunk in chunks for piece in call.edit(chunk)])

    def _push(self, chunks: list[dict[str, Any]]) -> None:
        for chunk in chunks:
            delta: Delta = {"type": "delta", "choices": chunk["choices"]}
            if extra := extra_fields(chunk):
                delta["about"] = extra
            self._records.push(delta)

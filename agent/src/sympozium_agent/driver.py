"""Driver of the loop: calls the model, forwards every piece as it arrives, and turns any result or failure into an end record."""

from __future__ import annotations

from time import monotonic

from sympozium_agent.completion import CompletionAccumulator, extra_fields
from sympozium_agent.log import log, log_failure
from sympozium_agent.loop import CallModel, Finish, ModelError, ModelUnreachable, converse
from sympozium_agent.providers import provider_class
from sympozium_agent.waiting import DeadlineExceeded
from sympozium_api.agent_protocol import OPENAI_COMPAT, error, model_error
from sympozium_api.model_refusal import redacted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from sympozium_agent.providers.provider import Provider
    from sympozium_agent.record_delivery import RecordDelivery
    from sympozium_agent.transport import ModelTransport
    from sympozium_agent.waiting import Scope
    from sympozium_api.agent_records import Delta, Done, End, Task


class Driver:
    """One task's driver: sends records to ``records`` and sets the task's variables in ``environ``; ``key`` is the model's API key."""

    def __init__(
        self, records: RecordDelivery, key: str | None, environ: MutableMapping[str, str], transport: ModelTransport
    ) -> None:
        self._records = records
        self._key = key
        self._environ = environ
        self._transport = transport

    def run(self, task: Task, scope: Scope) -> End:
        """Carry out the task and return its end record, whatever happens. Raises Cancelled, when the scope is, and nothing else."""
        started_at = monotonic()
        end = self._end(task, scope.within(task["timeoutSeconds"]))
        end["durationMs"] = round((monotonic() - started_at) * 1000)
        return end

    def _end(self, task: Task, scope: Scope) -> End:
        try:
            finish = self._finish(task, scope)
        except DeadlineExceeded:
            return error("timeout", f"The run did not end within {task['timeoutSeconds']:g} s.", 504)
        except ModelError as failure:
            refusal = redacted(failure.refusal, self._key, task["model"]["headers"])
            unreachable = {"reason": refusal.message} if isinstance(failure, ModelUnreachable) else {}
            log("model_failed", status=failure.status, **unreachable)
            return model_error(refusal, failure.status, kind=failure.kind)
        except Exception as failure:  # noqa: BLE001 - without an end record the run would have to be found lost
            log_failure(failure)
            return error("agent_error", f"The agent failed: {type(failure).__name__}.", 500)
        done: Done = {"type": "done", "choices": finish.choices, "usage": finish.usage, "durationMs": 0}
        if finish.extra_fields:
            done["about"] = finish.extra_fields
        return done

    def _finish(self, task: Task, scope: Scope) -> Finish:
        self._environ.update(task["env"])  # before the model is called, because proxies and authorities are among them
        target = task["model"]
        provider = provider_class(target.get("provider", OPENAI_COMPAT))(target, self._key, self._transport)
        steps = converse(task["request"])
        step = next(steps)
        while isinstance(step, CallModel):
            step = steps.send(self._call(provider, step, task["run"], scope))
        return step

    def _call(self, provider: Provider, call: CallModel, run: str, scope: Scope) -> CompletionAccumulator:
        completion = CompletionAccumulator(run, legacy_functions="functions" in call.request)
        log("model_called")
        chunks = provider.stream(call.request, scope)
        try:
            for chunk in chunks:
                if completion.is_empty:
                    log("model_answers")
                self._push(completion.add(chunk))
        finally:
            chunks.close()
        if completion.is_empty:
            raise ModelError("The model answered without any choice.")
        self._push(completion.close())
        if completion.usage:
            self._records.push({"type": "usage", "usage": completion.usage})
        return completion

    def _push(self, chunks: list[dict[str, Any]]) -> None:
        for chunk in chunks:
            delta: Delta = {"type": "delta", "choices": chunk["choices"]}
            if extra := extra_fields(chunk):
                delta["about"] = extra
            self._records.push(delta)

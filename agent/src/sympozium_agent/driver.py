"""Driver of the loop: calls the model, forwards every piece as it arrives, and turns any result or failure into an end record."""

import asyncio
from collections.abc import MutableMapping
from contextlib import aclosing
from typing import Any

from sympozium_agent.completion import CompletionAccumulator, extra_fields
from sympozium_agent.log import log, log_failure
from sympozium_agent.loop import CallModel, Finish, ModelError, ModelUnreachable, converse
from sympozium_agent.providers import Provider, provider_class
from sympozium_agent.record_delivery import RecordDelivery
from sympozium_agent.transport import ModelTransport
from sympozium_api.agent_protocol import OPENAI_COMPAT, Delta, Done, End, Task, Usage, error, model_error
from sympozium_api.model_refusal import redacted


class Driver:
    """One task's driver: sends records to ``records`` and sets the task's variables in ``environ``; ``key`` is the model's API key."""

    def __init__(
        self, records: RecordDelivery, key: str | None, environ: MutableMapping[str, str], transport: ModelTransport
    ) -> None:
        self._records = records
        self._key = key
        self._environ = environ
        self._transport = transport

    async def run(self, task: Task) -> End:
        """Carry out the task and return its end record, whatever happens; only cancellation ends without one."""
        time = asyncio.get_running_loop().time
        started_at = time()
        end = await self._end(task)
        end["durationMs"] = round((time() - started_at) * 1000)
        return end

    async def _end(self, task: Task) -> End:
        try:
            async with asyncio.timeout(task["timeoutSeconds"]):
                finish = await self._finish(task)
        except TimeoutError:
            return error("timeout", f"The run did not end within {task['timeoutSeconds']:g} s.", 504)
        except ModelError as failure:
            refusal = redacted(failure.refusal, self._key, task["model"]["headers"])
            unreachable = {"reason": refusal.message} if isinstance(failure, ModelUnreachable) else {}
            log("model_failed", status=failure.status, **unreachable)
            return model_error(refusal, failure.status, kind=failure.kind)
        except Exception as failure:  # noqa: BLE001 - without an end record the run would have to be found lost
            log_failure(failure)
            return error("agent_error", f"The agent failed: {type(failure).__name__}.", 500)
        done = Done(type="done", choices=finish.choices, usage=finish.usage, durationMs=0)
        return Done(**done, about=finish.extra_fields) if finish.extra_fields else done

    async def _finish(self, task: Task) -> Finish:
        self._environ.update(task["env"])  # before the model is called, because proxies and authorities are among them
        target = task["model"]
        provider = provider_class(target.get("provider", OPENAI_COMPAT))(target, self._key, self._transport)
        steps = converse(task["request"])
        step = next(steps)
        while isinstance(step, CallModel):
            step = steps.send(await self._call(provider, step, task["run"]))
        return step

    async def _call(self, provider: Provider, call: CallModel, run: str) -> CompletionAccumulator:
        completion = CompletionAccumulator(run, legacy_functions="functions" in call.request)
        log("model_called")
        async with aclosing(provider.stream(call.request)) as chunks:
            async for chunk in chunks:
                if completion.is_empty:
                    log("model_answers")
                self._push(completion.add(chunk))
        if completion.is_empty:
            raise ModelError("The model answered without any choice.")
        self._push(completion.close())
        if completion.usage:
            self._records.push(Usage(type="usage", usage=completion.usage))
        return completion

    def _push(self, chunks: list[dict[str, Any]]) -> None:
        for chunk in chunks:
            delta = Delta(type="delta", choices=chunk["choices"])
            if extra := extra_fields(chunk):
                delta["about"] = extra
            self._records.push(delta)

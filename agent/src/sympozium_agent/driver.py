"""The work itself: drives ``loop``, hands every piece on as it comes, and turns whatever happens into an end record."""

import asyncio
from collections.abc import MutableMapping
from contextlib import aclosing

from sympozium_agent.completion import Answer, about
from sympozium_agent.log import failed, log
from sympozium_agent.loop import CallModel, Finish, ModelError, converse
from sympozium_agent.providers.openai_compat import Provider
from sympozium_agent.runs_client import RecordDelivery
from sympozium_agent.transport.preconnected import Spare
from sympozium_api.agent_protocol import Delta, Done, End, Task, Usage, error


class Driver:
    """One task's work; records go to ``events``, ``key`` is the model's API key, the task's variables go to ``environ``,
    and a ``spare`` connection is used where there is one.
    """

    def __init__(
        self, events: RecordDelivery, key: str | None, environ: MutableMapping[str, str], spare: Spare
    ) -> None:
        self._events = events
        self._key = key
        self._environ = environ
        self._spare = spare

    async def run(self, task: Task) -> End:
        """The end record of the task, whatever happens; only cancellation leaves without one."""
        time = asyncio.get_running_loop().time
        began = time()
        end = await self._end(task)
        end["durationMs"] = round((time() - began) * 1000)
        return end

    async def _end(self, task: Task) -> End:
        try:
            async with asyncio.timeout(task["timeoutSeconds"]):
                finish = await self._finish(task)
        except TimeoutError:
            return error("timeout", f"the run did not end within {task['timeoutSeconds']:g} s", 504)
        except ModelError as failure:
            log("model_failed", status=failure.status)
            return self._failure(failure)
        except Exception as failure:  # noqa: BLE001 - an agent that fails ends its run instead of leaving it to be found lost
            failed(failure)
            return error("agent_error", f"the agent failed: {type(failure).__name__}", 500)
        done = Done(type="done", choices=finish.choices, usage=finish.usage, durationMs=0)
        return Done(**done, about=finish.about) if finish.about else done

    async def _finish(self, task: Task) -> Finish:
        self._environ.update(task["env"])  # before the model is called: proxies and certificate authorities are there
        model = Provider(task["model"], self._key, self._spare)
        steps = converse(task["request"])
        step = next(steps)
        while isinstance(step, CallModel):
            step = steps.send(await self._answer(model, step))
        return step

    async def _answer(self, model: Provider, call: CallModel) -> Answer:
        answer = Answer()
        log("model_called")
        async with aclosing(model.stream(call.request)) as chunks:
            async for chunk in chunks:
                if choices := chunk.get("choices"):
                    delta = Delta(type="delta", choices=choices)
                    if beside := about(chunk):
                        delta["about"] = beside
                    self._events.push(delta)
                if answer.is_empty:
                    log("model_answers")
                answer.add(chunk)
        if answer.is_empty:
            raise ModelError("the model answered without any choice")
        if answer.usage:
            self._events.push(Usage(type="usage", usage=answer.usage))
        return answer

    def _failure(self, failure: ModelError) -> End:
        message = failure.message.replace(self._key, "[key]") if self._key else failure.message
        end = error("model_error", message, failure.status)
        if failure.code is not None:
            end["error"]["code"] = failure.code
        return end

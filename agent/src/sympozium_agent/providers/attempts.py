"""Attempts to get an answer: a call that fails before its first token is repeated, then the next model of the task is asked.

Decision 0084 has the reasons for each number.
"""

from __future__ import annotations

import os
import time

from sympozium_agent.log import log
from sympozium_agent.loop import ModelError, ModelUnreachable
from sympozium_agent.providers import provider_class
from sympozium_api.agent_protocol import OPENAI_COMPAT
from sympozium_api.json_members import compact
from sympozium_api.model_refusal import redacted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any

    from sympozium_agent.providers.provider import Provider
    from sympozium_agent.steps import StepLog
    from sympozium_agent.transport import ModelTransport
    from sympozium_agent.waiting import Scope
    from sympozium_api.agent_records import End, ModelTarget, Task
    from sympozium_api.model_refusal import ModelRefusal

    Chunk = dict[str, Any]
    Credentials = Callable[[ModelTarget], tuple[str | None, dict[str, str]]]

RETRIES = 2
"""Most repetitions of a call at one model server."""
_RETRY_AFTER_BEFORE_FALLBACK = 5.0
"""Seconds of a Retry-After beyond which the next model is asked at once."""
_LASTING = ("InvalidAddress", "TLSFailed", "EgressRefused")
"""Failures to connect that last until somebody changes something."""
_MOST_HELD = 100
"""Most chunks without a token that are held."""
_SPENT = "insufficient_quota"
"""OpenAI's word for an account without money, which has the status of a rate limit."""


class Attempts:
    """Calls of a task's models. Once a fallback has answered, the task's later calls begin with it.

    ``backoff``: seconds of the first pause; ``longest_pause``: the most seconds that a server's Retry-After may ask for.
    """

    def __init__(
        self, credentials: Credentials, transport: ModelTransport, *, backoff: float, longest_pause: float
    ) -> None:
        self._credentials = credentials
        self._transport = transport
        self._backoff = backoff
        self._longest_pause = longest_pause
        self._targets: list[ModelTarget] = []
        self._position = 0
        self._provider: Provider | None = None
        self._secrets: list[tuple[str | None, dict[str, str]]] = []
        self._steps: StepLog | None = None
        self._has_tools = False
        self._began = 0.0, 0.0

    def begin(self, task: Task, steps: StepLog | None) -> None:
        """Take a task's models. ``steps`` is the log of a run with tools."""
        self._targets = [task["model"], *task.get("fallbacks", ())]
        self._steps, self._has_tools = steps, steps is not None
        self._prepare()

    def stream(self, request: dict[str, str], scope: Scope) -> Generator[Chunk, None, None]:
        """Yield the chunks of the first answer that begins. Raises as a provider's ``stream`` does, with the last attempt's error."""
        retries = 0
        while True:
            self._began, has_begun, has_choice = (time.time(), time.monotonic()), False, False
            chunks = self._current().stream(self._named(request), scope)
            try:
                for chunk in _held_until_token(chunks):
                    has_begun, has_choice = True, has_choice or bool(chunk.get("choices"))
                    yield chunk
                if not has_choice:
                    raise ModelError("The model answered without any choice.")  # noqa: TRY301 - as those of the stream
            except ModelError as failure:
                self._failed(failure)
                pause = None if has_begun else self._pause(failure, retries, scope)
                is_last = self._position + 1 == len(self._targets)
                if has_begun or not failure.is_transient or (pause is None and is_last):
                    raise
            except BaseException as failure:
                self._failed(failure)
                raise
            else:
                return
            finally:
                chunks.close()
            if pause is None:
                retries, self._position = 0, self._position + 1
                self._prepare()
            else:
                retries += 1
                scope.sleep(pause)

    def answered(self, usage: dict[str, Any]) -> None:
        """Add the step of the call that has just ended well, in a run that has steps."""
        if self._steps is not None:
            started_at, began = self._began
            self._steps.model(started_at, time.monotonic() - began, usage, title=self._title)

    def complete(self, end: End) -> None:
        """Add the model that answered, and the steps of a run without tools if there are any, to an end record."""
        if self._steps is not None and not self._has_tools:
            end["steps"] = self._steps.steps
        if self._targets and (name := self._targets[self._position].get("name")):
            end["model"] = name

    def redacted(self, refusal: ModelRefusal) -> ModelRefusal:
        """Return an error without the keys and headers of the models that were asked."""
        for key, headers in self._secrets:
            refusal = redacted(refusal, key, headers)
        return refusal

    @property
    def _title(self) -> str | None:
        return self._targets[self._position].get("title")

    def _prepare(self) -> None:
        """Make the provider of the current model. Raises ModelError for a dialect that this agent does not know."""
        target = self._targets[self._position]
        key, headers = self._credentials(target)
        target["headers"] = {**target["headers"], **headers}
        self._secrets.append((key, target["headers"]))
        self._provider = provider_class(target.get("provider", OPENAI_COMPAT))(target, key, self._transport)

    def _current(self) -> Provider:
        if self._provider is None:
            raise ModelError("The task has no model.", is_transient=False)
        return self._provider

    def _named(self, request: dict[str, str]) -> dict[str, str]:
        name = self._targets[self._position].get("name")
        return request | {"model": compact(name)} if name else request

    def _failed(self, failure: BaseException) -> None:
        """Add the step of a call that has failed, if the run has steps, or has more than one call by now."""
        known = failure if isinstance(failure, ModelError) else None
        if self._steps is None:
            if known is None or not known.is_transient:
                return
            from sympozium_agent.steps import StepLog  # noqa: PLC0415 - only for a run in which a call failed

            self._steps = StepLog()
        reason = self.redacted(known.refusal).message if known else type(failure).__name__
        started_at, began = self._began
        self._steps.model(started_at, time.monotonic() - began, {}, title=self._title, error=reason)
        if known:
            log("attempt_failed", status=known.status, **({"model": self._title} if self._title else {}))

    def _pause(self, failure: ModelError, retries: int, scope: Scope) -> float | None:
        """Return the seconds until the call is repeated; None if it is not repeated at this model server."""
        has_next = self._position + 1 < len(self._targets)
        code, asked = failure.refusal.code, failure.refusal.retry_after or 0
        longest = _RETRY_AFTER_BEFORE_FALLBACK if has_next else self._longest_pause
        lasts = code == _SPENT or (isinstance(failure, ModelUnreachable) and code in _LASTING)
        has_waited = has_next and isinstance(failure, ModelUnreachable) and code == "Timeout"
        if retries == RETRIES or asked > longest or lasts or has_waited:
            return None
        backoff = self._backoff * 2**retries
        pause = asked + backoff * (1 + os.urandom(1)[0] / 255) / 2
        return pause if pause < scope.remaining() else None


def _held_until_token(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yield chunks as they come, but none before the first that holds something: a server's overload may come after its greeting.

    After _MOST_HELD chunks without anything the answer has begun all the same, because a server may send them without end.
    """
    held: list[Chunk] = []
    for chunk in chunks:
        held.append(chunk)
        if _has_token(chunk) or len(held) == _MOST_HELD:
            yield from held
            break
    else:
        yield from held
        return
    yield from chunks


def _has_token(chunk: Chunk) -> bool:
    for choice in chunk.get("choices") or []:
        delta = choice.get("delta") or choice.get("message") or {}
        says = isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role")
        if says or choice.get("text") or choice.get("finish_reason"):
            return True
    return False

"""Steps of a run, as its end record has them."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sympozium_agent.loop import ToolCall
    from sympozium_api.agent_records import Step

MAX_STEPS = 128
MAX_ARGUMENT_BYTES = 8 * 1024
"""Bytes of the arguments of one call."""
_ALL_ARGUMENT_BYTES = 96 * 1024
"""Bytes of the arguments of all calls together, beyond which a step has none."""
_LONGEST_ERROR = 512
_TOKENS = (("inputTokens", "prompt_tokens"), ("outputTokens", "completion_tokens"))


class StepLog:
    """Steps so far. ``model`` and ``tool`` are called when a step has ended."""

    def __init__(self, titles: Mapping[str, str] | None = None) -> None:
        """``titles``: of tools, by their functions, where they are not the same."""
        self._titles = titles or {}
        self.steps: list[Step] = []
        self.tool_calls = 0
        self._room = _ALL_ARGUMENT_BYTES

    def model(
        self,
        started_at: float,
        seconds: float,
        usage: dict[str, Any],
        *,
        title: str | None = None,
        error: str | None = None,
    ) -> None:
        """Add a call of a model; ``started_at`` is Unix time. A count that the model did not report is absent."""
        step: Step = {"kind": "model", "startedAt": _moment(started_at), "durationMs": _milliseconds(seconds)}
        if title:
            step["name"] = title[:64]
        for name, given in _TOKENS:
            if type(count := usage.get(given)) is int and count >= 0:
                step[name] = count  # type: ignore[literal-required]
        self._add(step, error)

    def tool(self, call: ToolCall, started_at: float, seconds: float, error: str | None = None) -> None:
        """Add a call of a tool, also one that was not sent; ``error`` is the reason why it failed."""
        self.tool_calls += 1
        step: Step = {
            "kind": "tool",
            "name": call.function[:64],
            "id": call.id,
            "startedAt": _moment(started_at),
            "durationMs": _milliseconds(seconds),
        }
        if call.function in self._titles:
            step["title"] = self._titles[call.function]
        arguments = call.arguments.encode(errors="replace")[:MAX_ARGUMENT_BYTES]
        if len(arguments) <= self._room:
            self._room -= len(arguments)
            step["args"] = arguments.decode(errors="ignore")
        self._add(step, error)

    def _add(self, step: Step, error: str | None) -> None:
        if error:
            step["error"] = error[:_LONGEST_ERROR]
        if len(self.steps) < MAX_STEPS:
            self.steps.append(step)


def _moment(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))

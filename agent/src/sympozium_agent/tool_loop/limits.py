"""Limits of a run with tools, and the tokens that its calls of the model have taken together. Pure."""

from __future__ import annotations

from sympozium_agent.loop import LimitExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sympozium_api.agent_records import Limits

    Object = dict[str, Any]

_COUNTS = (("inputTokens", "prompt_tokens"), ("outputTokens", "completion_tokens"))
"""Limits of tokens, with the model's name of their count."""


class Spent:
    """The part of a run's limits that is used up."""

    def __init__(self, limits: Limits) -> None:
        self._limits: dict[str, Any] = dict(limits)
        self._calls = {"iterations": 0, "toolCalls": 0}
        self.usage: Object = {}
        """Sum of the model's counts."""

    def add_model_call(self, usage: Object) -> None:
        """Count a call of the model, with the model's own count of tokens."""
        self._calls["iterations"] += 1
        self.usage = added(self.usage, usage)

    def add_tool_calls(self, count: int) -> None:
        """Count calls of tools, before they are made. Raises LimitExceeded if they are too many, or no turn may follow."""
        self._calls["toolCalls"] += count
        for limit, name in _COUNTS:
            self._check(limit, self.usage.get(name), may_reach=False)
        self._check("iterations", self._calls["iterations"], may_reach=False)
        self._check("toolCalls", self._calls["toolCalls"], may_reach=True)

    def _check(self, limit: str, used: Any, *, may_reach: bool) -> None:
        most = self._limits.get(limit)
        if most is None or not isinstance(used, int):
            return
        if used > most or (used == most and not may_reach):
            raise LimitExceeded(limit, most)


def added(total: Object, usage: Object) -> Object:
    """Return the sum of two counts of tokens, field by field; of a field that is no number, the latter value."""
    summed = dict(total)
    for name, value in usage.items():
        before = summed.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            summed[name] = added(before, value)
        elif _is_number(before) and _is_number(value):
            summed[name] = before + value
        elif value is not None or name not in summed:
            summed[name] = value
    return summed


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

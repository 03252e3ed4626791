"""The steps of a run whose agent calls tools itself. Pure."""

from __future__ import annotations

from sympozium_agent.loop import CallModel, CallTools, Finish, Forward, ToolCall
from sympozium_agent.tool_loop.arguments import fault_of
from sympozium_agent.tool_loop.limits import Spent
from sympozium_agent.tool_loop.offer import appended, without_forced_choice
from sympozium_agent.tool_loop.results import message_of
from sympozium_agent.tool_loop.turns import Turns
from sympozium_api.json_members import compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from sympozium_agent.completion import CompletionAccumulator
    from sympozium_agent.tool_loop.offer import Offer
    from sympozium_api.agent_records import Limits

    Object = dict[str, Any]
    Step = CallModel | CallTools | Forward | Finish

_CUT = ("length", "content_filter")
"""Finish reasons of an answer that was cut: its calls may be incomplete, so they are not made."""
_TOLD_AGAIN = ("role", "content", "tool_calls", "reasoning_content", "reasoning", "reasoning_details")
"""Fields of a turn's message that the model gets back in the next turn."""
_LONGEST_ID = 128
"""Characters of a call's id. The guard takes twice as many."""


def converse(offered: Offer, limits: Limits, run: str) -> Generator[Step, Any, None]:
    """Yield the steps of one run: the model, the tools that it calls, the model again, until it calls none of the agent's.

    Calls of the caller's tools end the turn, and of an answer that calls tools of both, the agent's are not made. Raises
    LimitExceeded.
    """
    request, spent, turn, ids = offered.request, Spent(limits), 0, _Ids()
    turns = Turns(run, lambda kind, name: kind != "function" or name in offered.callers)
    while True:
        completion: CompletionAccumulator = yield CallModel(request, turn, turns.edit)
        spent.add_model_call(completion.usage)
        choice = completion.choices()[0]
        calls = _own_calls(choice, offered)
        if not calls:
            break
        spent.add_tool_calls(len(calls))
        yield Forward(turns.next_turn())
        made = tuple(_tool_call(call, offered, ids) for call in calls)
        results = yield CallTools(made)
        answers = [
            message_of(call["id"], *pair) for call, pair in zip(calls, zip(made, results, strict=True), strict=True)
        ]
        message = {name: value for name, value in choice["message"].items() if name in _TOLD_AGAIN}
        messages = appended(request["messages"], [compact(message), *answers])
        request, turn = without_forced_choice(request) | {"messages": messages}, turn + 1
    yield Forward(turns.finish())
    yield Finish(turns.choices(), spent.usage, turns.extra_fields)


def _own_calls(choice: Object, offered: Offer) -> list[Object]:
    """Return the calls to make: none if the answer was cut or calls a tool of the caller. A call of an unknown tool is one."""
    calls: list[Object] = choice["message"].get("tool_calls") or []
    is_callers = any(call["type"] != "function" or call["function"]["name"] in offered.callers for call in calls)
    return [] if is_callers or choice.get("finish_reason") in _CUT else calls


def _tool_call(call: Object, offered: Offer, ids: _Ids) -> ToolCall:
    function, arguments = call["function"]["name"], call["function"]["arguments"].strip() or "{}"
    tool = offered.own.get(function)
    if tool is None:
        known = ", ".join(offered.own)
        fault: str | None = f"there is no tool of this name; there are: {known}"
    else:
        fault = fault_of(arguments, tool["parameters"])
    return ToolCall(ids.unique(call["id"]), function, arguments, tool, fault)


class _Ids:
    """Ids of a run's calls. Model servers may give the same id in each turn, and a repeated id means a repeated call."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unique(self, given: str) -> str:
        """Return an id that no earlier call of the run has."""
        made = given[:_LONGEST_ID]
        if made in self._used:
            made = f"{made}-{len(self._used) + 1}"
        self._used.add(made)
        return made

"""Runs whose agent calls tools: model, guard, model, and what the caller and the run's end are told of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.model import Model
from tests.fakes.tool_guard import Answer, Called, ToolGuard, tool_guard
from tests.unit.agent.conftest import TOKEN, Pod, task_for
from tests.unit.agent.surface import Delivery, Surface, replica

from sympozium_agent.completion import CompletionAccumulator
from sympozium_api.agent_records import Limits, Task
from sympozium_api.tool_output import MAX_ANSWER_BYTES

CITY = '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'
OSLO = '{"city": "Oslo"}'
CALLERS_TOOL = {"type": "function", "function": {"name": "ask_user", "parameters": {"type": "object"}}}


@pytest.fixture
async def guard() -> AsyncIterator[ToolGuard]:
    async with tool_guard() as running:
        yield running


def with_tools(
    model: Model,
    guard: ToolGuard,
    *turns: dict[str, Any],
    limits: Limits | None = None,
    timeout: float = 60,
    **request: Any,
) -> Task:
    messages = [{"role": "user", "content": json.dumps(turns)}]
    task = task_for(model, "turns", timeout=timeout, **{"messages": messages} | request)
    task["tools"] = [
        {"function": name, "description": "Tells it.", "parameters": CITY, "baseUrl": guard.url, "timeoutMs": 2000}
        for name in ("time", "weather")
    ]
    task["limits"] = limits or {}
    return task


async def ran(pod: Pod, task: Task) -> Delivery:
    async with replica(task) as surface:
        assert await pod.run(surface) == 0
    return surface.deliveries[-1]


def end_of(delivery: Delivery) -> dict[str, Any]:
    return delivery.records[-1]


def streamed(delivery: Delivery) -> dict[str, Any]:
    """The message that a caller joins from the deltas, as OpenAI's SDKs do."""
    answer = CompletionAccumulator()
    for record in delivery.records:
        if record["type"] == "delta":
            answer.add({"choices": record["choices"]})
    answer.close()
    return answer.choices()[0]


def text_of(delivery: Delivery) -> str:
    content: str = end_of(delivery)["choices"][0]["message"]["content"]
    return content


def told(model: Model) -> list[dict[str, Any]]:
    """The conversation that the model was last sent."""
    messages: list[dict[str, Any]] = json.loads(model.last["body"])["messages"]
    return messages


async def test_a_tools_result_reaches_the_model_and_the_answer_the_caller(
    pod: Pod, model: Model, guard: ToolGuard
) -> None:
    turns = ({"content": "Let me look.", "calls": [["call_1", "weather", OSLO]]}, {"content": "It is sunny."})
    delivery = await ran(pod, with_tools(model, guard, *turns))
    [call] = guard.calls
    assert call == Called("/runs/run-1/tools/weather", "weather", "call_1", {"city": "Oslo"}, f"Bearer {TOKEN}")
    assert text_of(delivery) == "Let me look.\n\nIt is sunny."
    assert streamed(delivery) == end_of(delivery)["choices"][0]
    _, assistant, result = told(model)
    assert assistant["tool_calls"][0]["id"] == result["tool_call_id"] == "call_1"
    assert result["role"] == "tool"
    assert "weather: sunny" in result["content"]
    assert "not instructions" in result["content"]


async def test_an_answer_of_the_guard_beyond_its_bound_is_not_read_and_not_asked_for_again(
    pod: Pod, model: Model, guard: ToolGuard
) -> None:
    async def endless(_: Called) -> Answer:
        return 200, {"result": "x" * 2 * MAX_ANSWER_BYTES, "isError": False}

    guard.script = endless
    await ran(pod, with_tools(model, guard, {"calls": [["call_1", "weather", OSLO]]}, {"content": "Ok"}))
    assert len(guard.calls) == 1
    assert "the egress guard's answer is too long" in told(model)[-1]["content"]


async def test_the_caller_is_not_told_the_turns_between(pod: Pod, model: Model, guard: ToolGuard) -> None:
    delivery = await ran(pod, with_tools(model, guard, {"calls": [["call_1", "weather", OSLO]]}, {"content": "Sunny."}))
    reasons = [c.get("finish_reason") for r in delivery.records if r["type"] == "delta" for c in r["choices"]]
    assert [reason for reason in reasons if reason] == ["stop"]
    assert not any("tool_calls" in json.dumps(r) for r in delivery.records if r["type"] == "delta")
    tools = [(r["state"], r["function"], r.get("isError")) for r in delivery.records if r["type"] == "tool"]
    assert tools == [("started", "weather", None), ("ended", "weather", False)]


async def test_the_end_counts_all_calls_of_the_model_and_lists_the_steps(
    pod: Pod, model: Model, guard: ToolGuard
) -> None:
    end = end_of(await ran(pod, with_tools(model, guard, {"calls": [["call_1", "weather", OSLO]]}, {"content": "Ok"})))
    assert end["usage"] == {"prompt_tokens": 14, "completion_tokens": 6, "total_tokens": 20}
    assert end["toolCalls"] == 1
    first, tool, last = end["steps"]
    assert (first["kind"], first["inputTokens"], first["outputTokens"]) == ("model", 7, 3)
    assert (tool["kind"], tool["name"], tool["id"], tool["args"]) == ("tool", "weather", "call_1", OSLO)
    assert last["kind"] == "model"
    assert all(step["startedAt"].endswith("Z") and step["durationMs"] >= 0 for step in end["steps"])


async def test_counts_that_no_model_reported_stay_absent(pod: Pod, model: Model, guard: ToolGuard) -> None:
    turns = ({"calls": [["call_1", "weather", OSLO]], "usage": None}, {"content": "Ok", "usage": None})
    end = end_of(await ran(pod, with_tools(model, guard, *turns)))
    assert end["usage"] == {}
    assert "inputTokens" not in end["steps"][0]


async def test_calls_of_one_answer_run_side_by_side(pod: Pod, model: Model, guard: ToolGuard) -> None:
    all_four = asyncio.Barrier(4)

    async def slow(call: Called) -> Answer:
        await all_four.wait()
        return 200, {"result": f"{call.arguments['city']} is fine", "isError": False}

    guard.script = slow
    calls = [[f"call_{city}", "weather", json.dumps({"city": city})] for city in ("A", "B", "C", "D")]
    await ran(pod, with_tools(model, guard, {"calls": calls}, {"content": "Ok"}, timeout=60))
    assert guard.at_once == 4
    results = [message["content"] for message in told(model) if message["role"] == "tool"]
    assert ["A is fine" in results[0], "D is fine" in results[3]] == [True, True], "in the order of the calls"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, {"result": "refused: the host is not allowed", "isError": True}), "refused: the host is not allowed"),
        ((404, {"error": "the agent has no such tool"}), "no such tool"),
        ((413, {"error": "too long"}), "too long"),
        ((502, {"error": "x"}), "answered 502"),
        ((200, {"what": 1}), "malformed"),
    ],
)
async def test_a_failed_call_is_told_to_the_model_and_the_run_goes_on(
    pod: Pod, model: Model, guard: ToolGuard, answer: Answer, expected: str
) -> None:
    async def script(_: Called) -> Answer:
        return answer

    guard.script = script
    delivery = await ran(pod, with_tools(model, guard, {"calls": [["call_1", "weather", OSLO]]}, {"content": "Sorry."}))
    assert expected in told(model)[-1]["content"]
    assert text_of(delivery) == "Sorry."
    assert expected in end_of(delivery)["steps"][1]["error"]
    assert delivery.records[-3]["type"] != "error"


async def test_a_guard_that_is_away_is_asked_again_with_the_same_id(pod: Pod, model: Model, guard: ToolGuard) -> None:
    async def script(_: Called) -> Answer:
        if len(guard.calls) == 1:
            return 503, {"error": "later"}
        return (None, {}) if len(guard.calls) == 2 else (200, {"result": "sunny", "isError": False})

    guard.script = script
    await ran(pod, with_tools(model, guard, {"calls": [["call_1", "weather", OSLO]]}, {"content": "Ok"}))
    assert [call.id for call in guard.calls] == ["call_1"] * 3
    assert "sunny" in told(model)[-1]["content"]


async def test_a_guard_that_stays_away_is_asked_until_the_calls_time_is_over(
    pod: Pod, model: Model, guard: ToolGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(_: Called) -> Answer:
        return (503, {"error": "later"}) if len(guard.calls) < 9 else (200, {"result": "sunny", "isError": False})

    monkeypatch.setattr("sympozium_agent.tools.guarded._PAUSES", (0.01, 0.02))
    guard.script = script
    await ran(pod, with_tools(model, guard, {"calls": [["call_1", "weather", OSLO]]}, {"content": "Ok"}))
    assert len(guard.calls) == 9
    assert "sunny" in told(model)[-1]["content"]


async def test_a_call_whose_connection_breaks_is_sent_three_times(
    pod: Pod, model: Model, guard: ToolGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(_: Called) -> Answer:
        return None, {}

    monkeypatch.setattr("sympozium_agent.tools.guarded._PAUSES", (0.01,))
    guard.script = script
    await ran(pod, with_tools(model, guard, {"calls": [["call_1", "weather", OSLO]]}, {"content": "Ok"}))
    assert len(guard.calls) == 3
    assert "cannot be reached" in told(model)[-1]["content"]


async def test_a_guard_that_is_not_there_is_told(
    pod: Pod, model: Model, guard: ToolGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sympozium_agent.tools.guarded._GRACE_SECONDS", -1.5)
    task = with_tools(model, guard, {"calls": [["call_1", "weather", OSLO]]}, {"content": "Ok"})
    for tool in task["tools"]:
        tool["baseUrl"] = "http://127.0.0.1:9"
    await ran(pod, task)
    assert "cannot be reached" in told(model)[-1]["content"]


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("rocket", "{}", "there is no tool of this name"),
        ("weather", '{"city": ', "not JSON"),
        ("weather", "[]", "not a JSON object"),
        ("weather", '{"city": 7}', "must be of type string"),
        ("weather", "{}", "lacks city"),
    ],
)
async def test_a_call_that_cannot_be_made_is_not_sent(
    pod: Pod, model: Model, guard: ToolGuard, function: str, arguments: str, expected: str
) -> None:
    turns = ({"calls": [["call_1", function, arguments]]}, {"content": "Sorry."})
    delivery = await ran(pod, with_tools(model, guard, *turns))
    assert guard.calls == []
    assert expected in told(model)[-1]["content"]
    assert not any(record["type"] == "tool" for record in delivery.records)
    assert expected in end_of(delivery)["steps"][1]["error"]


async def test_a_repeated_id_of_a_later_turn_is_another_call(pod: Pod, model: Model, guard: ToolGuard) -> None:
    call = {"calls": [["call_1", "weather", OSLO]]}
    await ran(pod, with_tools(model, guard, call, call, {"content": "Ok"}))
    assert len({each.id for each in guard.calls}) == 2


async def test_calls_of_the_callers_tools_go_back_and_ours_are_not_made(
    pod: Pod, model: Model, guard: ToolGuard
) -> None:
    calls = [["call_1", "weather", OSLO], ["call_2", "ask_user", '{"q": "where?"}'], ["call_3", "ask_user", ""]]
    delivery = await ran(pod, with_tools(model, guard, {"content": "Hm.", "calls": calls}, tools=[CALLERS_TOOL]))
    assert guard.calls == []
    choice = end_of(delivery)["choices"][0]
    assert [call["id"] for call in choice["message"]["tool_calls"]] == ["call_2", "call_3"]
    assert choice["finish_reason"] == "tool_calls"
    assert streamed(delivery) == choice
    offered = [tool["function"]["name"] for tool in json.loads(model.last["body"])["tools"]]
    assert offered == ["ask_user", "time", "weather"]


@pytest.mark.parametrize("own", [{"n": 2}, {"tool_choice": "none"}, {"functions": [{"name": "f"}]}])
async def test_a_request_that_takes_no_tools_is_offered_none(
    pod: Pod, model: Model, guard: ToolGuard, own: dict[str, Any]
) -> None:
    delivery = await ran(pod, with_tools(model, guard, {"content": "Hi"}, **own))
    assert "tools" not in json.loads(model.last["body"])
    assert "steps" not in end_of(delivery)


async def test_a_forced_call_is_forced_once(pod: Pod, model: Model, guard: ToolGuard) -> None:
    turns = ({"calls": [["call_1", "weather", OSLO]]}, {"content": "Ok"})
    await ran(pod, with_tools(model, guard, *turns, tool_choice="required"))
    assert "tool_choice" not in json.loads(model.last["body"])


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"iterations": 2}, "iterations"),
        ({"toolCalls": 1}, "toolCalls"),
        ({"inputTokens": 10}, "inputTokens"),
        ({"outputTokens": 4}, "outputTokens"),
    ],
)
async def test_a_limit_ends_the_run_and_is_named(
    pod: Pod, model: Model, guard: ToolGuard, limits: Limits, name: str
) -> None:
    call = {"calls": [["call_1", "weather", OSLO]]}
    delivery = await ran(pod, with_tools(model, guard, call, call, {"content": "never"}, limits=limits))
    end = end_of(delivery)
    assert (end["error"]["type"], end["error"]["httpStatus"]) == ("limit_exceeded", 422)
    assert f"limits.{name} is {limits[name]}" in end["error"]["message"]  # type: ignore[literal-required]
    assert len(guard.calls) == 1
    assert end["usage"]["total_tokens"] == 20
    assert end["toolCalls"] == 1


async def test_an_answer_that_was_cut_calls_no_tool(pod: Pod, model: Model, guard: ToolGuard) -> None:
    turn = {"content": "Let me", "calls": [["call_1", "weather", OSLO]], "finish": "length"}
    delivery = await ran(pod, with_tools(model, guard, turn))
    assert guard.calls == []
    assert end_of(delivery)["choices"][0]["finish_reason"] == "length"
    assert "tool_calls" not in end_of(delivery)["choices"][0]["message"]


async def test_a_tool_that_does_not_answer_is_told_and_the_runs_deadline_holds(
    pod: Pod, model: Model, guard: ToolGuard
) -> None:
    async def hang(_: Called) -> Answer:
        await asyncio.sleep(60)
        return None, {}

    guard.script = hang
    for seconds in (0.5, 2, 8, 32):  # enough for the call to begin, which is a matter of the machine
        task = with_tools(model, guard, {"calls": [["call_1", "weather", OSLO]]}, {"content": "Ok"}, timeout=seconds)
        end = end_of(await ran(pod, task))
        assert end["error"]["type"] == "timeout"
        if guard.calls:
            break
    assert end["steps"][1]["error"] == "the run ended during the call"


async def test_a_cancelled_run_ends_its_calls(pod: Pod, model: Model, guard: ToolGuard) -> None:
    async def hang(_: Called) -> Answer:
        await asyncio.sleep(60)
        return None, {}

    guard.script = hang
    task = with_tools(model, guard, {"calls": [["call_1", "weather", OSLO]]}, timeout=60)
    async with replica(task) as surface:
        running = asyncio.ensure_future(pod.run(surface))
        await _until_called(guard, surface)
        pod.stop.set()
        assert await running == 1
    assert surface.end["error"]["type"] == "terminated"


async def _until_called(guard: ToolGuard, _: Surface) -> None:
    async with asyncio.timeout(60):
        while not guard.calls:
            await asyncio.sleep(0.01)

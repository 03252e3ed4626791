"""Calls of a model that are repeated before their first token, and the fallbacks that are asked after them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.tool_guard import tool_guard
from tests.fakes.vendors import TOKENS, Vendors, vendors
from tests.unit.agent.conftest import QUICK, Pod
from tests.unit.agent.surface import replica
from tests.unit.agent.test_dialects import BASES, CITY, OSLO, task_for

from sympozium_agent.providers import attempts
from sympozium_api.agent_records import ModelTarget, Task
from sympozium_api.values import replace

ANSWER = "".join(TOKENS)
ALIVE = "instant"


@pytest.fixture
async def server() -> AsyncIterator[Vendors]:
    async with vendors() as running:
        yield running


def with_models(server: Vendors, *models: tuple[str, str], **request: Any) -> Task:
    """A task with these models, each a dialect and a script."""
    task = task_for(server, *models[0], **request)
    targets = [target(server, *model) for model in models]
    task["model"], task["fallbacks"] = targets[0], targets[1:]
    return task


def target(server: Vendors, dialect: str, script: str) -> ModelTarget:
    title = f"{dialect}:{script}"
    return {"baseURL": server.url + BASES[dialect], "headers": {}, "provider": dialect, "name": script, "title": title}


async def end_of(pod: Pod, task: Task, retry_after: float = 0) -> dict[str, Any]:
    async with replica(task) as surface:
        assert await pod.run(surface, timeouts=replace(QUICK, model_retry_after=retry_after)) == 0
    return surface.end


def answer_of(end: dict[str, Any]) -> str:
    text: str = end["choices"][0]["message"]["content"]
    return text


@pytest.mark.parametrize("dialect", BASES)
@pytest.mark.parametrize("status", [408, 429, 500, 529])
async def test_a_call_is_repeated_twice(pod: Pod, server: Vendors, dialect: str, status: int) -> None:
    end = await end_of(pod, with_models(server, (dialect, f"flaky:{status}:2")))
    assert answer_of(end) == ANSWER
    assert len(server.asked) == 3
    assert [step["name"] for step in end["steps"]] == [f"{dialect}:flaky:{status}:2"] * 3
    assert [step.get("error") for step in end["steps"]][2] is None
    assert str(status) in end["steps"][0]["error"]


@pytest.mark.parametrize("script", ["status:500", "overloaded"])
async def test_after_two_repetitions_the_next_model_answers(pod: Pod, server: Vendors, script: str) -> None:
    end = await end_of(pod, with_models(server, ("anthropic_native", script), ("gemini_native", ALIVE)))
    assert answer_of(end) == ANSWER
    assert [asked.dialect for asked in server.asked] == ["anthropic"] * 3 + ["gemini"]
    assert end["model"] == ALIVE
    assert end["steps"][-1]["name"] == f"gemini_native:{ALIVE}"
    assert len(end["steps"]) == 4


async def test_a_server_that_is_gone_is_followed_by_the_next(pod: Pod, server: Vendors) -> None:
    task = with_models(server, ("groq", ALIVE), ("mistral", ALIVE))
    task["model"]["baseURL"] = "http://127.0.0.1:9/v1"
    end = await end_of(pod, task)
    assert answer_of(end) == ANSWER
    assert [step["name"] for step in end["steps"]] == [f"groq:{ALIVE}"] * 3 + [f"mistral:{ALIVE}"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_request_at_fault_is_not_sent_again(pod: Pod, server: Vendors, status: int) -> None:
    end = await end_of(pod, with_models(server, ("xai", f"status:{status}"), ("gemini_native", ALIVE)))
    assert end["error"]["httpStatus"] == status
    assert (len(server.asked), end["model"]) == (1, f"status:{status}")
    assert "steps" not in end


async def test_what_a_dialect_cannot_say_is_not_said_to_the_next(pod: Pod, server: Vendors) -> None:
    models = ("anthropic_native", ALIVE), ("gemini_native", ALIVE)
    end = await end_of(pod, with_models(server, *models, seed=1))
    assert (end["error"]["httpStatus"], end["error"]["param"], server.asked) == (400, "seed", [])


@pytest.mark.parametrize("script", ["overloaded:late", "cut"])
async def test_nothing_is_repeated_after_the_first_token(pod: Pod, server: Vendors, script: str) -> None:
    end = await end_of(pod, with_models(server, ("anthropic_native", script), ("gemini_native", ALIVE)))
    assert end["type"] == "error"
    assert len(server.asked) == 1


async def test_the_last_models_error_ends_the_run(pod: Pod, server: Vendors) -> None:
    models = ("groq", "status:503"), ("anthropic_native", "status:529")
    end = await end_of(pod, with_models(server, *models))
    assert (end["error"]["httpStatus"], end["model"]) == (529, "status:529")
    assert len(server.asked) == len(end["steps"]) == 6


async def test_the_wait_that_a_server_asks_for_is_kept(
    pod: Pod, server: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("sympozium_agent.waiting.Scope.sleep", lambda _, seconds: waited.append(seconds))
    server.retry_after = 4
    assert answer_of(await end_of(pod, with_models(server, ("groq", "flaky:429:1")), retry_after=30)) == ANSWER
    assert 4 < waited[0] < 4.1


async def test_a_wait_that_is_too_long_for_the_run_is_the_callers(pod: Pod, server: Vendors) -> None:
    server.retry_after = 60
    end = await end_of(pod, with_models(server, ("groq", "status:429")), retry_after=3600)
    assert (end["error"]["httpStatus"], end["error"]["retryAfterSeconds"], len(server.asked)) == (429, 60, 1)


async def test_a_fallback_does_not_wait_for_a_server_that_asks_for_long(pod: Pod, server: Vendors) -> None:
    server.retry_after = attempts._RETRY_AFTER_BEFORE_FALLBACK + 1
    end = await end_of(pod, with_models(server, ("groq", "status:429"), ("mistral", ALIVE)), retry_after=30)
    assert answer_of(end) == ANSWER
    assert len(server.asked) == 2


async def test_the_loop_of_tools_goes_on_with_the_model_that_answered(pod: Pod, server: Vendors) -> None:
    turns: tuple[dict[str, Any], ...] = ({"calls": [["call_1", "weather", OSLO]]}, {"content": "Sunny."})
    messages = [{"role": "user", "content": json.dumps(turns)}]
    task = with_models(server, ("mistral", "status:500"), ("anthropic_native", "turns"), messages=messages)
    async with tool_guard() as guard:
        tool = {"function": "weather", "description": "", "parameters": CITY, "baseUrl": guard.url, "timeoutMs": 2000}
        task["tools"] = [tool]  # type: ignore[list-item]
        end = await end_of(pod, task)
    assert answer_of(end) == "Sunny."
    assert [asked.dialect for asked in server.asked] == ["mistral"] * 3 + ["anthropic"] * 2
    kinds = [(step["kind"], step["name"]) for step in end["steps"]][2:]
    own = ("model", "anthropic_native:turns")
    assert kinds == [("model", "mistral:status:500"), own, ("tool", "weather"), own]


async def test_each_model_gets_its_own_key_and_errors_hold_none(pod: Pod, server: Vendors) -> None:
    models = ("groq", "status:500"), ("anthropic_native", ALIVE)
    task = with_models(server, *models)
    for number, model in enumerate((task["model"], *task["fallbacks"])):
        folder = pod.key_file.parent / f"provider-{number}"
        headers = folder.parent / "headers" / folder.name
        for made in (folder, headers):
            made.mkdir(parents=True)
        (folder / "key-0").write_text(f"key-number-{number}")
        (headers / "x-org").write_text(f"org-number-{number}")
        model["key"] = folder.name
    await end_of(pod, task)
    assert {asked.headers["x-org"] for asked in server.asked[:3]} == {"org-number-0"}
    assert server.asked[0].headers["authorization"] == "Bearer key-number-0"
    assert (server.asked[3].headers["x-api-key"], server.asked[3].headers["x-org"]) == ("key-number-1", "org-number-1")


def test_a_server_that_sends_nothing_without_end_fills_no_memory() -> None:
    greetings = iter([{"choices": [{"index": 0, "delta": {"role": "assistant"}}]}] * 1000)
    chunks = attempts._held_until_token(greetings)
    next(chunks)
    assert len(list(greetings)) >= 900

"""Each dialect against a server that sends its vendor's forms: answers, counts, the loop of tools, errors, and what is refused."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.tool_guard import ToolGuard, tool_guard
from tests.fakes.vendors import BASES as SERVED
from tests.fakes.vendors import SIGNATURE, TOKENS, USAGE, Vendors, vendors
from tests.unit.agent.conftest import KEY, Pod
from tests.unit.agent.surface import replica

from sympozium_agent.providers import provider_class
from sympozium_api.agent_records import Task
from sympozium_api.json_members import compact

BASES = {name: path for name, path in SERVED.items() if name != "openai_compat"} | {"ollama": "/ollama"}
"""Paths of the dialects' base addresses; Ollama's also without its version."""
NATIVE = ("anthropic_native", "gemini_native")
OSLO, CITY = '{"city": "Łódź"}', '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'
each_dialect = pytest.mark.parametrize("dialect", BASES)


@pytest.fixture
async def server() -> AsyncIterator[Vendors]:
    async with vendors() as running:
        yield running


@pytest.fixture
async def guard() -> AsyncIterator[ToolGuard]:
    async with tool_guard() as running:
        yield running


def task_for(server: Vendors, dialect: str, model: str = "instant", *turns: dict[str, Any], **request: Any) -> Task:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": json.dumps(turns) if turns else "Hi"},
    ]
    body = {"model": model, "messages": messages} | request
    base = server.url + BASES.get(dialect, "/openai/v1")
    return {
        "run": "run-1",
        "request": {name: compact(value) for name, value in body.items()},
        "model": {"baseURL": base, "headers": {}, "provider": dialect},
        "env": {},
        "timeoutSeconds": 10,
    }


async def end_of(pod: Pod, task: Task) -> dict[str, Any]:
    async with replica(task) as surface:
        assert await pod.run(surface) == 0
    return surface.end


@each_dialect
@pytest.mark.parametrize("piece", [0, 1, 7])
async def test_an_answer_is_whole_however_its_stream_is_cut(pod: Pod, dialect: str, piece: int) -> None:
    async with vendors(piece=piece) as server:
        end = await end_of(pod, task_for(server, dialect))
    assert end["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "".join(TOKENS)}, "finish_reason": "stop"}
    ]
    counted = end["usage"]
    assert (counted["prompt_tokens"], counted["completion_tokens"], counted["total_tokens"]) == (7, 5, 12)
    if dialect in (*NATIVE, "deepseek"):
        assert counted["prompt_tokens_details"]["cached_tokens"] == USAGE["cached"]
    if dialect in (*NATIVE, "xai"):
        assert counted["completion_tokens_details"]["reasoning_tokens"] == USAGE["reasoning"]


@each_dialect
async def test_the_key_is_where_the_vendor_looks_for_it(pod: Pod, server: Vendors, dialect: str) -> None:
    await end_of(pod, task_for(server, dialect))
    headers = server.asked[0].headers
    name = {"anthropic_native": "x-api-key", "gemini_native": "x-goog-api-key", "azure_openai": "api-key"}.get(dialect)
    assert headers[name or "authorization"] == (KEY if name else f"Bearer {KEY}")
    assert sum(KEY in value for value in headers.values()) == 1
    assert KEY not in server.asked[0].target


@each_dialect
async def test_the_loop_of_tools_works(pod: Pod, server: Vendors, guard: ToolGuard, dialect: str) -> None:
    calls = [["call_1", "weather", OSLO], ["call_2", "time", OSLO]]
    turns: tuple[dict[str, Any], ...] = (
        {"thinking": "Two calls.", "content": "Let me look.", "calls": calls},
        {"content": "Sunny."},
    )
    task = task_for(server, dialect, "turns", *turns)
    task["tools"] = [
        {"function": name, "description": "Tells it.", "parameters": CITY, "baseUrl": guard.url, "timeoutMs": 2000}
        for name in ("time", "weather")
    ]
    end = await end_of(pod, task)
    assert end["choices"][0]["message"]["content"] == "Let me look.\n\nSunny."
    assert sorted(call.function for call in guard.calls) == ["time", "weather"]
    assert [call.arguments for call in guard.calls] == [{"city": "Łódź"}] * 2
    assert len(server.asked) == 2
    assert "weather: sunny" in json.dumps(server.asked[1].body)
    assert end["usage"]["total_tokens"] == 24
    if dialect in NATIVE:
        assert SIGNATURE in json.dumps(server.asked[1].body)


@each_dialect
async def test_a_call_without_arguments_goes_to_the_caller(pod: Pod, server: Vendors, dialect: str) -> None:
    tool = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
    end = await end_of(pod, task_for(server, dialect, "turns", {"calls": [["call_1", "now", "{}"]]}, tools=[tool]))
    [choice] = end["choices"]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert (call["type"], call["function"]) == ("function", {"name": "now", "arguments": "{}"})
    assert call["id"]


@each_dialect
@pytest.mark.parametrize("status", [400, 401])
async def test_a_refusal_keeps_its_status_and_words(pod: Pod, server: Vendors, dialect: str, status: int) -> None:
    error = (await end_of(pod, task_for(server, dialect, f"status:{status}")))["error"]
    assert (error["type"], error["httpStatus"]) == ("model_error", status)
    assert error["message"].endswith(f"server says {status}")


@each_dialect
@pytest.mark.parametrize("script", ["overloaded:late", "cut"])
async def test_an_answer_that_breaks_is_an_error(pod: Pod, server: Vendors, dialect: str, script: str) -> None:
    error = (await end_of(pod, task_for(server, dialect, script)))["error"]
    assert (error["type"], error["httpStatus"]) == (
        "model_error",
        503 if "over" in script else 502,
    )


CUT = {"anthropic_native": ("max_tokens", "refusal"), "gemini_native": ("MAX_TOKENS", "SAFETY")}


@pytest.mark.parametrize("dialect", NATIVE)
async def test_reasons_that_cut_an_answer_are_openais(pod: Pod, server: Vendors, dialect: str) -> None:
    for reason, word in zip(CUT[dialect], ("length", "content_filter"), strict=True):
        end = await end_of(pod, task_for(server, dialect, "turns", {"content": "a", "reason": reason}))
        assert end["choices"][0]["finish_reason"] == word


REFUSED = [
    ("anthropic_native", {"n": 2}, "n"),
    ("anthropic_native", {"logprobs": True}, "logprobs"),
    ("anthropic_native", {"seed": 1}, "seed"),
    ("anthropic_native", {"temperature": 1.5}, "temperature"),
    ("anthropic_native", {"response_format": {"type": "json_object"}}, "response_format"),
    ("anthropic_native", {"messages": [{"role": "user", "name": "Ann", "content": "Hi"}]}, "messages[0].name"),
    (
        "anthropic_native",
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
        "messages[0].content[0].type",
    ),
    ("gemini_native", {"logit_bias": {"1": 2}}, "logit_bias"),
    (
        "gemini_native",
        {"parallel_tool_calls": False, "tools": [{"type": "function", "function": {"name": "a"}}]},
        "parallel_tool_calls",
    ),
    (
        "gemini_native",
        {"messages": [{"role": "tool", "tool_call_id": "x", "content": "1"}]},
        "messages[0].tool_call_id",
    ),
    ("gemini_native", {"tools": [{"type": "custom", "custom": {"name": "a"}}]}, "tools[0].type"),
    ("deepseek", {"n": 2}, "n"),
    ("mistral", {"logprobs": True}, "logprobs"),
    ("xai", {"logit_bias": {"1": 2}}, "logit_bias"),
    ("ollama", {"tool_choice": "required"}, "tool_choice"),
]


@pytest.mark.parametrize(("dialect", "request_", "field"), REFUSED)
async def test_what_a_dialect_cannot_say_is_refused_by_name(
    pod: Pod, server: Vendors, dialect: str, request_: dict[str, Any], field: str
) -> None:
    error = (await end_of(pod, task_for(server, dialect, **request_)))["error"]
    assert (error["type"], error["httpStatus"], error["param"]) == ("model_error", 400, field)
    assert error["message"].startswith(field)
    assert server.asked == []


@pytest.mark.parametrize("dialect", NATIVE)
async def test_a_bare_prompt_is_refused_by_the_native_dialects(pod: Pod, server: Vendors, dialect: str) -> None:
    task = task_for(server, dialect)
    task["request"] = {"model": '"instant"', "prompt": '"Once"'}
    error = (await end_of(pod, task))["error"]
    assert (error["httpStatus"], error["param"]) == (400, "prompt")


async def test_azures_addresses(pod: Pod, server: Vendors) -> None:
    task = task_for(server, "azure_openai", "my gpt")
    task["model"]["apiVersion"] = "2024-06-01"
    await end_of(pod, task)
    assert server.asked[0].target == "/openai/deployments/my%20gpt/chat/completions?api-version=2024-06-01"
    assert "stream_options" not in server.asked[0].body
    await end_of(pod, task_for(server, "azure_openai"))
    assert server.asked[1].target.endswith("?api-version=2024-10-21")
    assert server.asked[1].body["stream_options"] == {"include_usage": True}


async def test_mistral_gets_fields_and_ids_that_it_knows(pod: Pod, server: Vendors) -> None:
    call = {"id": "call_of_another_vendor", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "Hm"},
        {"role": "tool", "tool_call_id": "call_of_another_vendor", "content": "12"},
    ]
    await end_of(pod, task_for(server, "mistral", messages=messages, seed=3, max_completion_tokens=9, user="u"))
    body = server.asked[0].body
    assert (body["random_seed"], body["max_tokens"]) == (3, 9)
    assert not {"seed", "user", "stream_options", "max_completion_tokens"} & set(body)
    _, assistant, result = body["messages"]
    assert "reasoning_content" not in assistant
    assert len(result["tool_call_id"]) == 9
    assert assistant["tool_calls"][0]["id"] == result["tool_call_id"]


async def test_deepseek_gets_the_reasoning_of_this_turn_only(pod: Pod, server: Vendors) -> None:
    old = {"role": "assistant", "content": "One", "reasoning_content": "Old"}
    new = {"role": "assistant", "content": "Two", "reasoning_content": "New"}
    user = {"role": "user", "content": "Hi"}
    await end_of(pod, task_for(server, "deepseek", messages=[user, old, user, new]))
    assert [message.get("reasoning_content") for message in server.asked[0].body["messages"]] == [
        None,
        None,
        None,
        "New",
    ]


@each_dialect
def test_a_provider_imports_its_own_dialect_only(dialect: str) -> None:
    script = (
        "import sys, sympozium_agent.driver\n"
        "from sympozium_agent.providers import provider_class\n"
        f"provider_class({dialect!r})\n"
        "print(*sorted(name for name in sys.modules if name.startswith('sympozium_agent.providers.')))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    names = {name.rpartition(".")[2] for name in loaded}
    assert dialect in names
    assert not names & (set(BASES) - {dialect})
    assert ("conversation" in names) == (dialect in NATIVE)


def test_openais_dialect_imports_no_other_one() -> None:
    script = (
        "import sys, sympozium_agent.driver\n"
        "from sympozium_agent.providers import provider_class\n"
        "provider_class('openai_compat')\n"
        "print(*sorted(name for name in sys.modules if name.startswith('sympozium_agent.providers.')))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    names = [name.rpartition(".")[2] for name in loaded]
    assert names == ["chunk_parser", "http_provider", "openai_compat"]


def test_each_dialect_has_a_class() -> None:
    assert {provider_class(name).__module__.rpartition(".")[2] for name in BASES} == set(BASES)

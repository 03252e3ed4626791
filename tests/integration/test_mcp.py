"""The official MCP client with the web-proxy, in every version of the protocol."""

import asyncio
import json
from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent
from tests.fakes.agents import Agents
from tests.fakes.pod import delta, done, failed, request_of
from tests.integration.conftest import KEY, Proxy, eventually, instance
from tests.mcp_clients import ERAS, connected

from sympozium_api import installed_skills, names
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.resources import RUNS
from sympozium_api.skillpack import Parameter

SKILLS = [
    InstalledSkill(
        name="summarise",
        description="Make a text short.",
        content="Summarise {{text}} in {{words}} words.",
        parameters=[Parameter(name="text"), Parameter(name="words", default="10")],
    ),
    InstalledSkill(name="be polite", content="Always be polite."),
]

each_era = pytest.mark.parametrize("era", ERAS)


@pytest.fixture
async def skilled(proxy: Proxy) -> None:
    proxy.kubernetes.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": names.installed_skills("demo")},
            "data": {installed_skills.DOCUMENT: installed_skills.render(SKILLS)},
        }
    )
    await eventually(lambda: bool(proxy.context.instance_cache.served().skills))


def said(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def called(client: Client, tool: str, **arguments: Any) -> CallToolResult:
    return await client.call_tool(tool, arguments)


@each_era
async def test_the_agent_answers_a_task(proxy: Proxy, agents: Agents, era: str) -> None:
    async with connected(proxy.url, KEY, era) as client:
        result = await called(client, "ask_agent", task="Say hello", context="It is morning")
    assert said(result) == "Hello from the fake model."
    assert not result.is_error
    (name,) = proxy.kubernetes.names(RUNS)
    run = proxy.kubernetes.object(RUNS, name)
    assert run["metadata"]["labels"][names.LABEL_SOURCE] == "mcp"
    assert request_of(run)["messages"] == [{"role": "user", "content": "Say hello\n\nContext:\nIt is morning"}]
    if not era.startswith("2024"):
        assert result.structured_content is not None
        assert result.structured_content["run"] == name
        assert result.structured_content["status"] == "succeeded"


@each_era
async def test_tools_say_what_they_take_and_give(proxy: Proxy, skilled: None, era: str) -> None:
    proxy.kubernetes.put(instance(title="Assistant", description="It knows the weather."))
    await eventually(lambda: proxy.context.instance_cache.served().instance.spec.title == "Assistant")
    async with connected(proxy.url, KEY, era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == ["ask_agent", "summarise", "get_run", "cancel_run"]
    ask = tools["ask_agent"]
    assert ask.description is not None
    assert "It knows the weather." in ask.description
    assert ask.input_schema["required"] == ["task"]
    assert tools["summarise"].input_schema["required"] == ["text"]
    if not era.startswith("2024"):
        assert ask.title == "Ask Assistant"
        assert ask.output_schema is not None
        assert tools["get_run"].annotations is not None
        assert tools["get_run"].annotations.read_only_hint


@each_era
async def test_text_comes_as_progress(proxy: Proxy, era: str) -> None:
    told: list[tuple[float, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async with connected(proxy.url, KEY, era) as client:
        call = asyncio.create_task(client.call_tool("ask_agent", {"task": "hi"}, progress_callback=note))
        pod = await proxy.pod()
        go_on = asyncio.Event()
        speaking = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), delta("lo"), go_on, done("Hello")))
        await eventually(lambda: len(told) == 2)
        assert not call.done()
        go_on.set()
        assert said(await call) == "Hello"
        await speaking
    assert told == [(3, "Hel"), (5, "lo")]


@each_era
async def test_a_failed_run_is_an_error_with_its_reason(proxy: Proxy, era: str) -> None:
    async with connected(proxy.url, KEY, era) as client:
        call = asyncio.create_task(called(client, "ask_agent", task="hi"))
        await (await proxy.pod()).say({"type": "started"}, failed("model_error", "no such model", 404))
        result = await call
    assert result.is_error
    assert "no such model" in said(result)


@each_era
async def test_a_caller_that_waits_no_longer_gets_an_error(proxy: Proxy, era: str) -> None:
    async with connected(proxy.url, KEY, era) as client:
        call = asyncio.create_task(called(client, "ask_agent", task="hi"))
        pod = await proxy.pod()
        await pod.say(failed("timeout", "the run took longer than 10m", 504))
        result = await call
    assert result.is_error
    assert "timeout" in said(result)


@each_era
@pytest.mark.parametrize("arguments", [{}, {"task": ""}, {"task": "  \n"}, {"task": 7}, {"task": None}])
async def test_wrong_arguments_make_no_run(proxy: Proxy, era: str, arguments: dict[str, Any]) -> None:
    async with connected(proxy.url, KEY, era) as client:
        result = await client.call_tool("ask_agent", arguments)
    assert result.is_error
    assert "ask_agent" in said(result)
    assert proxy.kubernetes.names(RUNS) == []


@each_era
async def test_an_unknown_tool_is_an_error(proxy: Proxy, era: str) -> None:
    async with connected(proxy.url, KEY, era) as client:
        with pytest.raises(MCPError, match="Unknown tool: nothing"):
            await called(client, "nothing")


@each_era
async def test_a_skill_is_a_tool_and_a_prompt(proxy: Proxy, skilled: None, era: str) -> None:
    async with connected(proxy.url, KEY, era) as client:
        call = asyncio.create_task(called(client, "summarise", text="War and Peace"))
        pod = await proxy.pod()
        asked = (await pod.task()).json()["request"]["messages"][-1]["content"]
        await pod.answer("War.")
        assert said(await call) == "War."
        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        prompt = await client.get_prompt("summarise", {"text": "War and Peace", "words": "3"})
        with pytest.raises(MCPError, match="text"):
            await client.get_prompt("summarise", {})
        with pytest.raises(MCPError, match="Unknown prompt"):
            await client.get_prompt("nothing")
    assert asked == "Summarise War and Peace in 10 words."
    assert set(prompts) == {"summarise", "be_polite"}
    content = prompt.messages[0].content
    assert isinstance(content, TextContent)
    assert content.text == "Summarise War and Peace in 3 words."


@each_era
async def test_a_run_can_be_looked_after_and_cancelled(proxy: Proxy, era: str) -> None:
    async with connected(proxy.url, KEY, "2026-07-28") as other:
        waiting = asyncio.create_task(called(other, "ask_agent", task="hi"))
        name = (await proxy.pod()).run
        async with connected(proxy.url, KEY, era) as client:
            assert "running" in said(await called(client, "get_run", run=name))
            cancelling = asyncio.create_task(called(client, "cancel_run", run=name))
            await eventually(lambda: proxy.kubernetes.object(RUNS, name)["spec"].get("cancel") is True)
            end_as(proxy, name, "Cancelled")
            assert "cancelled" in said(await cancelling)
            assert (await waiting).is_error
            assert "cancelled" in said(await called(client, "get_run", run=name, wait_seconds=5))
            nothing = await called(client, "get_run", run="demo-nothing")
    assert nothing.is_error


@each_era
async def test_runs_that_have_ended_are_resources(proxy: Proxy, agents: Agents, era: str) -> None:
    async with connected(proxy.url, KEY, era) as client:
        await called(client, "ask_agent", task="Say hello")
        (resource,) = (await client.list_resources()).resources
        (template,) = (await client.list_resource_templates()).resource_templates
        read = (await client.read_resource(resource.uri)).contents[0]
        with pytest.raises(MCPError, match="Resource not found"):
            await client.read_resource("sympozium://runs/nothing")
    assert resource.title == "Run of 2026-01-01T00:00:00Z" or era.startswith("2024")
    assert template.uri_template == "sympozium://runs/{name}"
    run = json.loads(read.text)  # type: ignore[union-attr]
    assert (run["task"], run["text"], run["status"]) == ("Say hello", "Hello from the fake model.", "succeeded")


async def test_resources_come_in_pages(proxy: Proxy, agents: Agents) -> None:
    async with connected(proxy.url, KEY) as client:
        for _ in range(21):
            await called(client, "ask_agent", task="hi")
        first = await client.list_resources()
        second = await client.list_resources(cursor=first.next_cursor)
        with pytest.raises(MCPError, match="Invalid cursor"):
            await client.list_resources(cursor="nonsense")
    assert [len(page.resources) for page in (first, second)] == [20, 1]
    assert second.next_cursor is None


@each_era
async def test_another_key_sees_nothing_of_a_run(proxy: Proxy, agents: Agents, era: str) -> None:
    (proxy.keys / "api-key-alice").write_text("sk-alice")
    proxy.clock.advance(5)
    async with connected(proxy.url, KEY, era) as client:
        await called(client, "ask_agent", task="hi")
    (name,) = proxy.kubernetes.names(RUNS)
    async with connected(proxy.url, "sk-alice", era) as alice:
        assert (await alice.list_resources()).resources == []
        with pytest.raises(MCPError, match="Resource not found"):
            await alice.read_resource(f"sympozium://runs/{name}")
        for tool in ("get_run", "cancel_run"):
            assert (await called(alice, tool, run=name)).is_error


async def test_a_caller_that_leaves_cancels_its_call(proxy: Proxy) -> None:
    async with connected(proxy.url, KEY) as client:
        call = asyncio.create_task(called(client, "ask_agent", task="hi"))
        name = (await proxy.pod()).run
        call.cancel()
        await eventually(lambda: proxy.kubernetes.object(RUNS, name)["spec"].get("cancel") is True)


async def test_calls_are_limited_like_chats(proxy: Proxy) -> None:
    proxy.kubernetes.put(instance(webEndpoint={"rateLimit": {"requestsPerMinute": 60, "burstSize": 1}}))
    await eventually(lambda: proxy.context.instance_cache.rate_limit.burst_size == 1)
    async with connected(proxy.url, KEY) as client:
        await client.list_tools()
        assert "no run" in said(await called(client, "get_run", run="demo-nothing"))
        with pytest.raises(MCPError, match="Rate limit reached"):
            await called(client, "get_run", run="demo-nothing")


def end_as(proxy: Proxy, name: str, phase: str) -> None:
    proxy.kubernetes.put({**proxy.kubernetes.object(RUNS, name), "status": {"phase": phase}})

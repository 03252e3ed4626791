"""From the question over a call of a tool to the answer: web-proxy, agent and egress guard, all real, on the loopback interface."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from starlette.responses import PlainTextResponse, Response
from tests.fakes.agents import PROVIDER_KEY, Agents
from tests.fakes.clock import FakeClock
from tests.fakes.closing_server import closing_server
from tests.fakes.model import Model
from tests.fakes.pod import created_run
from tests.fakes.webhook import PUBLIC, Received, World, world
from tests.integration.conftest import KEY, Proxy, eventually, instance, listening, put_document
from tests.integration.egress.conftest import CITY, IN_FORCE
from tests.mcp_clients import connected
from tests.unit.api.tools import HOST, binding_manifest, tool_manifest

from sympozium_api import names
from sympozium_api.agent_document import AgentDocument, AgentLimits, OfferedTool
from sympozium_api.resources import RUNS, Object
from sympozium_egress.assembly import assemble
from sympozium_egress.egress_settings import EgressSettings

OSLO = '{"city": "Oslo"}'
LOOK = {"content": "Let me look.", "calls": [["call_1", "weather", OSLO]]}
SUNNY = {"content": "It is sunny."}
AGENT = """
import sys
from pathlib import Path
from sympozium_agent.agent_settings import AgentSettings
from sympozium_agent.process import process
run, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
sys.exit(process(AgentSettings(run, (url,), folder / "token", (folder / "api-key",), folder / "termination-log")))
"""


@dataclass
class Tools:
    """An instance with the tool ``weather``, behind a guard."""

    proxy: Proxy
    model: Model
    world: World
    guard_url: str
    _digest: str = ""

    def put(self, *functions: str, **limits: int) -> None:
        """Give the agent these tools, as the operator does."""
        offered = [
            OfferedTool(
                function=function,
                description="Tells it.",
                parameters=json.dumps(CITY),
                base_url=self.guard_url,
                timeout_ms=5000,
            )
            for function in functions
        ]
        document = AgentDocument(tools=offered, limits=AgentLimits(**limits))
        self._digest = put_document(self.proxy.kubernetes, document)
        agent = {"model": "turns", "baseURL": self.model.url, "runTimeout": "10m"}
        status = {"agentDocument": self._digest}
        self.proxy.kubernetes.put(instance(agents={"default": agent}) | {"status": status})

    async def until_put(self) -> None:
        """Wait until the web-proxy knows the tools that were put last."""
        cache = self.proxy.context.instance_cache
        await eventually(lambda: cache.served().instance.status.agent_document == self._digest)

    async def run(self, *, among: int = 1) -> Object:
        """The newest run, once it has ended."""
        name = (await created_run(self.proxy.kubernetes, among=among))["metadata"]["name"]
        await eventually(lambda: "completedAt" in self.proxy.kubernetes.object(RUNS, name).get("status", {}))
        return self.proxy.kubernetes.object(RUNS, name)


@pytest.fixture
async def tools(proxy: Proxy, model: Model) -> AsyncIterator[Tools]:
    proxy.kubernetes.put(
        tool_manifest(webhook={"url": f"http://{HOST}/v1/query"}, parameters=CITY)
        | {"status": {"function": "weather", "conditions": IN_FORCE}}
    )
    proxy.kubernetes.put(binding_manifest() | {"status": {"function": "weather", "conditions": IN_FORCE}})

    async def sunny(_: Received) -> Response:
        return PlainTextResponse("sunny, 20 degrees")

    async with world() as outside:
        outside.addresses[HOST] = [PUBLIC]
        outside.script = sunny
        settings = EgressSettings("sympozium-system", api_server="10.96.0.1")
        guard = await assemble(proxy.kubernetes, settings, FakeClock(), http=outside.client())
        async with listening(guard.app) as url:
            found = Tools(proxy, model, outside, url)
            found.put("weather")
            await found.until_put()
            yield found


@pytest.fixture
async def answering(tools: Tools, tmp_path: Path) -> AsyncIterator[Tools]:
    """Every run has an agent, in a thread."""
    (tmp_path / "pods").mkdir()
    running = asyncio.create_task(
        Agents(tools.proxy.kubernetes, tools.proxy.issuer, tools.proxy.surface, tmp_path / "pods").run()
    )
    yield tools
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def question(*turns: dict[str, Any]) -> Any:
    return [{"role": "user", "content": json.dumps(turns)}]


async def test_a_question_is_answered_with_a_tools_result_by_an_agent_in_a_process_of_its_own(
    tools: Tools, tmp_path: Path
) -> None:
    asked = asyncio.create_task(tools.proxy.chat(messages=question(LOOK, SUNNY)))
    run = await created_run(tools.proxy.kubernetes)
    name = run["metadata"]["name"]
    pod = f"{names.job(name, run['metadata']['uid'])}-abcde"
    (tmp_path / "token").write_text(tools.proxy.issuer.token(pod, names.agent_service_account("demo")))
    (tmp_path / "api-key").write_text(PROVIDER_KEY)
    arguments = ("-c", AGENT, name, tools.proxy.surface, str(tmp_path))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=PIPE)
    answer = await asked
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "Let me look.\n\nIt is sunny."
    assert answer.json()["usage"]["total_tokens"] == 20
    _, logged = await process.communicate()
    assert process.returncode == 0
    [received] = tools.world.received
    assert received.arguments == {"city": "Oslo"}
    assert not {PROVIDER_KEY, KEY} & set(received.headers.values())
    status = (await tools.run())["status"]
    assert [(step["kind"], step.get("name")) for step in status["steps"]] == [
        ("model", None),
        ("tool", "weather"),
        ("model", None),
    ]
    assert status["tokenUsage"] | {"durationMs": 0} == {
        "inputTokens": 14,
        "outputTokens": 6,
        "totalTokens": 20,
        "toolCalls": 1,
        "durationMs": 0,
    }
    assert b"Oslo" not in logged
    assert "sunny, 20 degrees" in tools.model.last["body"]


async def test_a_stream_says_which_tool_is_called_and_sdks_skip_it(answering: Tools, sdk: openai.AsyncOpenAI) -> None:
    body = {"messages": question(LOOK, SUNNY), "stream": True}
    raw = await answering.proxy.chat(**body)
    assert ": tool weather started\n\n" in raw.text
    assert raw.text.index("Let me look.") < raw.text.index(": tool") < raw.text.index("It is sunny.")
    assert raw.text.count('"finish_reason":"stop"') == 1
    assert "tool_calls" not in raw.text
    stream = await sdk.chat.completions.create(model="demo", **body)
    said = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert "".join(said) == "Let me look.\n\nIt is sunny."


async def test_a_response_stream_has_the_whole_text(answering: Tools, sdk: openai.AsyncOpenAI) -> None:
    text = json.dumps([LOOK, SUNNY])
    events = [event async for event in await sdk.responses.create(model="demo", input=text, stream=True)]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Let me look.\n\nIt is sunny."
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "Let me look.\n\nIt is sunny."


async def test_over_mcp_a_tool_is_a_progress_message(answering: Tools) -> None:
    told: list[tuple[float, str | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async with connected(answering.proxy.url, KEY, "2025-11-25") as client:
        arguments = {"task": json.dumps([LOOK, SUNNY])}
        result = await client.call_tool("ask_agent", arguments, progress_callback=on_progress)
    assert result.content[0].text == "Let me look.\n\nIt is sunny."  # type: ignore[union-attr]
    assert "tool weather started" in [message for _, message in told]
    values = [progress for progress, _ in told]
    assert values == sorted(set(values))


async def test_a_limit_is_an_error_with_its_name(answering: Tools) -> None:
    answering.put("weather", tool_calls=1)
    await answering.until_put()
    answer = await answering.proxy.chat(messages=question(LOOK, LOOK, SUNNY))
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "limit_exceeded"
    assert "toolCalls is 1" in answer.json()["error"]["message"]
    run = await answering.run()
    assert [step["kind"] for step in run["status"]["steps"]] == ["model", "tool", "model"]


async def test_a_refused_call_is_told_to_the_model_and_in_the_steps(answering: Tools) -> None:
    answering.proxy.kubernetes.put(
        binding_manifest(allowedDomains=["other.example.com"])
        | {"status": {"function": "weather", "conditions": IN_FORCE}}
    )
    answer = await answering.proxy.chat(messages=question(LOOK, {"content": "I cannot."}))
    assert answer.json()["choices"][0]["message"]["content"] == "Let me look.\n\nI cannot."
    assert answering.world.received == []
    [step] = [step for step in (await answering.run())["status"]["steps"] if step["kind"] == "tool"]
    assert "DomainNotAllowed" in step["error"]


async def test_calls_that_reach_no_tool_are_counted(answering: Tools) -> None:
    wanted = {"calls": [["c1", "no_such_tool", "{}"], ["c2", "weather", '{"city": 5}'], ["c3", "weather", OSLO]]}
    await answering.proxy.chat(messages=question(wanted, SUNNY))
    await answering.run()
    assert len(answering.world.received) == 1
    metrics = answering.proxy.context.metrics.registry
    assert metrics.get_sample_value("sympozium_tool_calls_not_made_total") == 2


async def test_a_call_whose_connection_breaks_costs_no_run_and_repeats_its_key(answering: Tools) -> None:
    outside, called, released = answering.world, asyncio.Event(), asyncio.Event()
    connections: list[asyncio.StreamWriter] = []

    async def held_at_first(_: Received) -> Response:
        if len(outside.received) == 1:
            called.set()
            await released.wait()
        return PlainTextResponse("sunny")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        from_guard, to_guard = await asyncio.open_connection("127.0.0.1", guard_port)
        await asyncio.gather(_piped(reader, to_guard), _piped(from_guard, writer), return_exceptions=True)

    outside.script, guard_port = held_at_first, int(answering.guard_url.rpartition(":")[2])
    async with closing_server(relay) as port:
        answering.guard_url = f"http://127.0.0.1:{port}"
        answering.put("weather")
        await answering.until_put()
        asked = asyncio.create_task(answering.proxy.chat(messages=question(LOOK, SUNNY)))
        await asyncio.wait_for(called.wait(), 60)
        connections[0].transport.abort()
        answer = await asked
        released.set()
    assert answer.json()["choices"][0]["message"]["content"] == "Let me look.\n\nIt is sunny."
    assert len({request.headers["idempotency-key"] for request in outside.received}) == 1
    assert len(outside.received) == 2


async def _piped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_a_callers_own_tool_goes_back_to_the_caller(answering: Tools) -> None:
    own = {"type": "function", "function": {"name": "ask_user", "parameters": {"type": "object"}}}
    turn = {"calls": [["call_1", "weather", OSLO], ["call_2", "ask_user", "{}"]]}
    answer = (await answering.proxy.chat(messages=question(turn), tools=[own])).json()
    choice = answer["choices"][0]
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["ask_user"]
    assert choice["finish_reason"] == "tool_calls"
    assert answering.world.received == []


async def test_a_changed_document_counts_for_the_next_run(answering: Tools) -> None:
    answering.put("time", "weather")
    await answering.until_put()
    await answering.proxy.chat(messages=question(SUNNY))
    offered = [tool["function"]["name"] for tool in json.loads(answering.model.last["body"])["tools"]]
    assert offered == ["time", "weather"]

"""MCP on a real cluster: official clients in every era, against an instance with three replicas, none of which a client is bound to."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_types import CallToolResult, TextContent
from tests.e2e.conftest import Endpoint, Namespace, instance, until
from tests.mcp_clients import ERAS, connected

from sympozium_api import names

CLIENTS = Path(os.environ.get("SYMPOZIUM_CACHE") or Path.home() / ".cache/sympozium") / "clients/mcp"
"""Folder in which ``local/clients.sh`` installs the inspector."""
TEXT = "Hello from the fake model."
PACK = {
    "apiVersion": names.API_VERSION,
    "kind": "SkillPack",
    "metadata": {"name": "texts"},
    "spec": {
        "parameters": [{"name": "text", "description": "What to make short."}, {"name": "words", "default": "10"}],
        "skills": [
            {
                "name": "summarise",
                "description": "Make a text short.",
                "content": "Summarise {{text}} in {{words}} words.",
            }
        ],
    },
}


@pytest.fixture(scope="module")
def served(namespace: Namespace) -> Iterator[Endpoint]:
    """An instance with three web-proxies, that can do something more than answer."""
    limit = {"requestsPerMinute": 60_000, "burstSize": 1000}
    made = instance(
        "mcp",
        title="Assistant",
        description="It greets.",
        skills=[{"skillPackRef": "web-endpoint"}, {"skillPackRef": "texts"}],
        webEndpoint={"rateLimit": limit, "replicas": 3},
    )
    namespace.apply(PACK, made)
    endpoint = Endpoint(namespace, "mcp").serves()
    namespace.kubectl("rollout", "status", f"deployment/{names.server(endpoint.run)}", "--timeout=4m")
    until(lambda: all("summarise" in asyncio.run(tools_of(endpoint, url)) for url in endpoint.replicas()), within=30)
    yield endpoint
    endpoint.close()
    namespace.delete("instance", "mcp", "--wait=false")
    namespace.delete("skillpack", "texts")


async def tools_of(endpoint: Endpoint, url: str) -> list[str]:
    """Names of the tools that one of the replicas offers."""
    async with connected(url, endpoint.key) as client:
        return [tool.name for tool in (await client.list_tools()).tools]


def said(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_uses_all_that_there_is(served: Endpoint, era: str) -> None:
    told: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with connected(served.url, served.key, era) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert tools == ["ask_agent", "summarise", "get_run", "cancel_run"]
        answers = await asyncio.gather(
            client.call_tool("ask_agent", {"task": "hi"}, progress_callback=note),
            *(client.call_tool("ask_agent", {"task": "hi"}) for _ in range(3)),
            client.call_tool("summarise", {"text": "War and Peace"}),
        )
        assert [said(answer) for answer in answers] == [TEXT] * 5
        assert "".join(filter(None, told)) in ("", TEXT)
        prompt = await client.get_prompt("summarise", {"text": "War and Peace"})
        assert isinstance(prompt.messages[0].content, TextContent)
        assert prompt.messages[0].content.text == "Summarise War and Peace in 10 words."
        resource = (await client.list_resources()).resources[0]
        run = json.loads((await client.read_resource(resource.uri)).contents[0].text)  # type: ignore[union-attr]
        assert run["status"] == "succeeded"
        assert (await client.call_tool("ask_agent", {"task": " "})).is_error
        looked = await client.call_tool("get_run", {"run": run["run"]})
        assert said(looked) == TEXT


async def test_calls_fall_on_all_replicas(served: Endpoint) -> None:
    async with connected(served.url, served.key, "2025-11-25") as client:
        await asyncio.gather(*(client.call_tool("ask_agent", {"task": "hi"}) for _ in range(12)))
    runs = served.namespace.list("agentruns", "-l", f"{names.LABEL_INSTANCE}=mcp,{names.LABEL_SOURCE}=mcp")
    assert len({run["metadata"]["annotations"][names.ANNOTATION_REPLY_TO] for run in runs}) > 1


async def test_a_cancel_ends_the_run_of_another_replica(served: Endpoint) -> None:
    served.use_model("slow:100:1000")
    async with connected(served.url, served.key, "2025-11-25") as client:
        before = runs(served)
        call = asyncio.create_task(client.call_tool("ask_agent", {"task": "hi"}))
        name = await asyncio.to_thread(until, lambda: next(iter(runs(served) - before), None), within=20)
        call.cancel()
        ended = await asyncio.to_thread(served.namespace.run_ends, name)
    served.use_model("instant")
    assert ended["phase"] == "Cancelled"


async def test_a_task_outlives_the_replica_that_made_it(served: Endpoint) -> None:
    extension = "io.modelcontextprotocol/tasks"
    version = "2026-07-28"
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {extension: {}}},
    }

    def call(method: str, named: str, **params: Any) -> Any:
        """The result; None of a replica that asks for the call again: without its pod, a killed one has no right to read."""
        headers = {
            "Accept": "application/json, text/event-stream",
            "Connection": "close",
            "MCP-Protocol-Version": version,
            "Mcp-Method": method,
            "Mcp-Name": named,
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        answer = served.http.post("/mcp", json=body, headers=headers)
        if answer.status_code == 503 and answer.headers.get("retry-after"):
            return None
        assert "result" in answer.json(), (answer.status_code, answer.text)
        return answer.json()["result"]

    task = call("tools/call", "ask_agent", name="ask_agent", arguments={"task": "hi"})
    assert task["resultType"] == "task"
    name = task["taskId"]
    replica = served.namespace.get("agentrun", name)["metadata"]["annotations"][names.ANNOTATION_REPLY_TO]
    pods = served.namespace.list("pods", "-l", f"{names.LABEL_RUN}={served.run}")
    gone = next(pod for pod in pods if pod["status"]["podIP"] in replica)
    served.namespace.delete("pod", gone["metadata"]["name"], "--grace-period=0", "--force")

    def completed() -> Any:
        found = call("tasks/get", name, taskId=name)
        return found if found and found["status"] == "completed" else None

    assert until(completed, within=60)["result"]["content"][0]["text"] == TEXT


@pytest.mark.parametrize(
    "method", [["tools/list"], ["tools/call", "--tool-name", "ask_agent", "--tool-arg", "task=hi"]]
)
def test_the_inspector_speaks_with_it(served: Endpoint, method: list[str], tmp_path: Path) -> None:
    command = [
        *(str(CLIENTS / "bin/node"), str(CLIENTS / "node_modules/.bin/mcp-inspector"), "--cli", f"{served.url}/mcp"),
        *("--transport", "http", "--header", f"Authorization: Bearer {served.key}", "--method", *method),
    ]
    environ = os.environ | {"MCP_CATALOG_PATH": str(tmp_path / "catalog.json")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["tools"][0]["name"] == "ask_agent" if len(method) == 1 else told["structuredContent"]["text"] == TEXT


def runs(served: Endpoint) -> set[str]:
    found = served.namespace.list("agentruns", "-l", f"{names.LABEL_INSTANCE}=mcp,{names.LABEL_SOURCE}=mcp")
    return {run["metadata"]["name"] for run in found}

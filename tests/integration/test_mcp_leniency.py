"""MCP clients that do not do all that the specification asks of them: their calls work where nothing is lost."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from tests.fakes.pod import delta, done, request_of
from tests.integration.conftest import KEY, Proxy
from tests.integration.mcp_replicas import Json, ask, events, request

from sympozium_api.resources import RUNS

AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
BOTH = "application/json, text/event-stream"
PARAMS: Json = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}}


async def post(proxy: Proxy, message: Json, accept: str | None, session: str = "") -> httpx2.Response:
    """Send a message; None: without the header Accept."""
    headers = AUTHORIZED | ({"Accept": accept} if accept is not None else {})
    asked = proxy.http.build_request("POST", "/mcp", json=message, headers=headers)
    if accept is None:
        del asked.headers["accept"]
    if session:
        asked.headers["mcp-session-id"] = session
    return await proxy.http.send(asked)


async def begun(proxy: Proxy, accept: str | None = BOTH) -> str:
    answer = await post(proxy, request("initialize", PARAMS), accept)
    assert answer.status_code == 200, answer.text
    return answer.headers["mcp-session-id"]


def message(answer: httpx2.Response) -> Json:
    """The one message of an answer, in whichever form."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        return events(answer.text)[-1][1] or {}
    return answer.json()  # type: ignore[no-any-return]


class TestAccept:
    @pytest.mark.parametrize(
        ("accept", "form"),
        [
            ("application/json", "application/json"),
            ("text/event-stream", "text/event-stream; charset=utf-8"),
            ("", "application/json"),
            (None, "application/json"),
            ("*/*", "application/json"),
            (BOTH, "application/json"),
        ],
    )
    async def test_a_client_is_answered_in_a_form_that_it_takes(
        self, proxy: Proxy, accept: str | None, form: str
    ) -> None:
        answer = await post(proxy, request("initialize", PARAMS), accept)
        assert (answer.status_code, answer.headers["content-type"]) == (200, form)
        assert message(answer)["result"]["protocolVersion"] == "2025-06-18"

    async def test_a_client_that_takes_neither_is_refused(self, proxy: Proxy) -> None:
        assert (await post(proxy, request("initialize", PARAMS), "text/html")).status_code == 406

    async def test_a_call_for_json_only_is_one_json_body_however_long_it_takes(self, proxy: Proxy) -> None:
        proxy.context.settings = replace(proxy.context.settings, keep_alive_seconds=0.05)
        session = await begun(proxy, "application/json")
        call = ask(5, _meta={"progressToken": "p"})
        asked = asyncio.create_task(post(proxy, call, "application/json", session))
        pod, silence = await proxy.pod(), asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, silence.set)
        await pod.say({"type": "started"}, delta("Hel"), silence, delta("lo"), done("Hello"))
        answer = await asked
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["result"]["content"][0]["text"] == "Hello"


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "ignored"),
        [
            ({"toolCallId": "call_1"}, "params.arguments.toolCallId"),
            ({"context": None}, None),
            ({"context": None, "sessionId": None, "a b": 1}, "params.arguments.a%20b"),
        ],
    )
    async def test_arguments_of_a_clients_own_and_null_are_left_out(
        self, proxy: Proxy, arguments: dict[str, Any], ignored: str | None
    ) -> None:
        session = await begun(proxy)
        call = request("tools/call", {"name": "ask_agent", "arguments": {"task": "Say hello"} | arguments}, 2)
        asked = asyncio.create_task(post(proxy, call, BOTH, session))
        await (await proxy.pod()).answer("Hello")
        answer = await asked
        assert message(answer)["result"]["content"][0]["text"] == "Hello"
        assert answer.headers.get("x-sympozium-ignored") == ignored
        [run] = proxy.kubernetes.names(RUNS)
        assert request_of(proxy.kubernetes.object(RUNS, run))["messages"][0]["content"] == "Say hello"

    async def test_null_for_a_needed_argument_is_an_error(self, proxy: Proxy) -> None:
        call = request("tools/call", {"name": "ask_agent", "arguments": {"task": None}}, 2)
        answer = message(await post(proxy, call, BOTH, await begun(proxy)))
        assert "task" in json.dumps(answer)
        assert proxy.kubernetes.names(RUNS) == []


def read_by_an_old_client(text: str) -> list[str]:
    """The events' data as httpx-sse 0.4 reads them: once an event had an id, a blank line ends another event, without data."""
    found, data, last_id = list[str](), list[str](), ""
    for line in text.splitlines():
        if not line:
            if data or last_id:
                found.append("\n".join(data))
            data = []
        elif line.startswith("id:"):
            last_id = line
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").strip())
    return found


async def test_a_keep_alive_after_an_id_is_no_event_for_older_clients(proxy: Proxy) -> None:
    proxy.context.settings = replace(proxy.context.settings, keep_alive_seconds=0.05)
    session = await begun(proxy)
    asked = asyncio.create_task(post(proxy, ask(5, _meta={"progressToken": "p"}), BOTH, session))
    pod, silence = await proxy.pod(), asyncio.Event()
    asyncio.get_running_loop().call_later(1, silence.set)
    await pod.say({"type": "started"}, delta("Hel"), silence, delta("lo"), done("Hello"))
    answer = await asked
    assert ": keep-alive\n" in answer.text
    assert all(json.loads(data) for data in read_by_an_old_client(answer.text.rstrip("\n") + "\n\n"))

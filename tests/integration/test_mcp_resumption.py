"""Streams of MCP calls that break off and are resumed at another web-proxy."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.pod import delta, done
from tests.integration.mcp_replicas import (
    AUTH,
    BOTH,
    Json,
    Replica,
    World,
    ask,
    events,
    three_replicas,
)

from sympozium_api.resources import RUNS


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with three_replicas(tmp_path) as world:
        yield world


async def test_a_broken_stream_is_resumed_where_it_broke_off(world: World) -> None:
    first, second, third = world.replicas
    session = await first.begin()
    go_on = asyncio.Event()
    asked = ask(5, _meta={"progressToken": "p"})
    async with first.http.stream(
        "POST", "/mcp", json=asked, headers={**AUTH, **BOTH, "Mcp-Session-Id": session}
    ) as stream:
        pod = await world.pod(first)
        speaking = asyncio.create_task(pod.say({"type": "started"}, delta("Hel"), go_on, delta("lo"), done("Hello")))
        text = ""
        async for piece in stream.aiter_text():
            text += piece
            if "notifications/progress" in text:
                break
    (primed, _), (place, told) = events(text)
    assert primed
    assert place
    assert told is not None
    assert told["params"] == {"progressToken": "p", "progress": 3, "message": "Hel"}
    assert not world.kubernetes.object(RUNS, pod.run)["spec"]["cancel"], "a broken connection cancels nothing"

    async def resumed(replica: Replica, after: str, began: asyncio.Event) -> list[Json]:
        headers = {**AUTH, "Accept": "text/event-stream", "Mcp-Session-Id": session, "Last-Event-ID": after}
        text = ""
        async with replica.http.stream("GET", "/mcp", headers=headers) as stream:
            async for piece in stream.aiter_text():
                text += piece
                began.set()
        return [message for _, message in events(text) if message]

    began = [asyncio.Event(), asyncio.Event()]
    here = asyncio.create_task(resumed(first, place, began[0]))
    elsewhere = asyncio.create_task(resumed(second, place, began[1]))
    for event in began:
        await event.wait()
    go_on.set()
    await speaking
    assert [message.get("params", {}).get("message") for message in await here] == ["lo", None]
    for messages in (
        await here,
        await elsewhere,
        await resumed(third, place, began[0]),
        await resumed(third, primed, began[0]),
    ):
        assert messages[-1]["id"] == 5
        assert messages[-1]["result"]["structuredContent"]["text"] == "Hello"


async def test_a_stream_that_cannot_be_resumed_is_refused(world: World) -> None:
    replica = world.replicas[0]
    session = await replica.begin()

    async def get(**headers: str) -> int:
        return (await replica.http.get("/mcp", headers={**AUTH, "Accept": "text/event-stream", **headers})).status_code

    named = {"Mcp-Session-Id": session}
    assert await get(**named) == 405
    assert await get(**named, **{"Last-Event-ID": "nonsense"}) == 405
    assert await get(**named, **{"Last-Event-ID": "WzEsbnVsbCwwXQ"}) == 404
    assert await get(**named, Accept="application/json") == 406
    assert await get(**{"MCP-Protocol-Version": "2026-07-28"}) == 405
    assert await get() == 400
    assert (await replica.http.delete("/mcp", headers={**AUTH, **named})).status_code == 405
    assert (await replica.http.get("/mcp")).status_code == 401


async def test_a_request_id_means_one_call(world: World) -> None:
    replica = world.replicas[0]
    session = await replica.begin()
    first = asyncio.create_task(replica.post(ask(1), session))
    pod = await world.pod(replica)
    again = asyncio.create_task(world.replicas[1].post(ask(1), session))
    await pod.answer("Hello")
    assert "Hello" in (await first).text
    assert "Hello" in (await again).text
    assert len(world.kubernetes.names(RUNS)) == 1
    in_another_session = asyncio.create_task(replica.post(ask(1), await replica.begin()))
    await (await world.pod(replica, among=2)).answer("Good day")
    assert "Good day" in (await in_another_session).text
    other = ask(1, arguments={"task": "something else"})
    assert (await replica.post(other, session)).json()["result"]["isError"]

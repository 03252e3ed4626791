"""Progress of tool calls: it bears the token of its own call, grows, comes in order and ends with the answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.pod import FakePod, delta, done, request_of
from tests.integration.mcp_replicas import AUTH, VERSIONS, Json, Replica, World, ask, events, request, three_replicas

from sympozium_api.resources import RUNS

Token = str | int
WORDS = {"a": ["Hé", "llo", " ", "world"], "b": ["Gu", "ten \U0001f600", "Tag"], "c": ["Bon", "jour"]}
"""Words of each agent, by its task."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with three_replicas(tmp_path) as world:
        yield world


def call(task: str, id_: Token, token: Token | None) -> Json:
    meta: Json = {} if token is None else {"_meta": {"progressToken": token}}
    return ask(id_, arguments={"task": task}, **meta)


async def speak(world: World, at: Replica, *, runs: int) -> None:
    """Let the agents of these runs speak by turns, so that their words are under way at the same time."""
    await world.pod(at, among=runs)
    turns = [asyncio.Event() for _ in range(max(map(len, WORDS.values())) + 1)]
    speaking = []
    for run in await world.kubernetes.list(RUNS, "default"):
        words = WORDS[request_of(run)["messages"][0]["content"]]
        spoken: list[Any] = [{"type": "started"}]
        for turn, word in zip(turns, words, strict=False):
            spoken += [turn, delta(word)]
        spoken += [turns[-1], done("".join(words))]
        speaking.append(asyncio.create_task(FakePod(run, world.issuer, at.surface).say(*spoken)))
    for turn in turns:
        turn.set()
        await asyncio.sleep(0.02)
    await asyncio.gather(*speaking)


def check(messages: list[Json], tokens: dict[Token, tuple[str, Token]]) -> None:
    """Check one stream's messages against its calls with tokens: the task and the id of each."""
    for token, (task, id_) in tokens.items():
        at = [index for index, message in enumerate(messages) if is_progress_of(token, message)]
        told = [messages[index]["params"] for index in at]
        assert [piece["message"] for piece in told] == WORDS[task]
        progress = [piece["progress"] for piece in told]
        assert progress == [len("".join(WORDS[task][: count + 1])) for count in range(len(WORDS[task]))]
        assert progress == sorted(set(progress)), "each value is larger than the one before"
        [end] = [index for index, message in enumerate(messages) if message.get("id") == id_]
        assert at[-1] < end, "nothing comes after the answer"
        assert messages[end]["result"]["content"][0]["text"] == "".join(WORDS[task])
    count = sum(len(WORDS[task]) for task, _ in tokens.values())
    assert sum("method" in message for message in messages) == count, "there is no progress of another call"


def is_progress_of(token: Token, message: Json) -> bool:
    """Return True if the message is progress of this token; 1 and "1" are different tokens."""
    own = message["params"]["progressToken"] if message.get("method") == "notifications/progress" else None
    return type(own) is type(token) and own == token


def messages_of(text: str) -> list[Json]:
    return [message for _, message in events(text) if message]


@pytest.mark.parametrize("version", VERSIONS)
async def test_calls_at_once_on_one_session_get_their_own_progress(world: World, version: str) -> None:
    replica = world.replicas[0]
    session = await replica.begin(version)
    answers = [
        asyncio.create_task(replica.post(message, session))
        for message in (call("a", 1, "1"), call("b", "1", 1), call("c", 3, None))
    ]
    await speak(world, replica, runs=3)
    first, second, silent = [await answer for answer in answers]
    check(messages_of(first.text), {"1": ("a", 1)})
    check(messages_of(second.text), {1: ("b", "1")})
    assert "notifications/progress" not in silent.text
    assert "Bonjour" in silent.text


async def test_the_same_token_in_two_sessions_is_two_calls(world: World) -> None:
    replica = world.replicas[0]
    answers = [asyncio.create_task(replica.post(call(task, 1, 0), await replica.begin())) for task in ("a", "b")]
    await speak(world, replica, runs=2)
    for task, answer in zip("ab", answers, strict=True):
        check(messages_of((await answer).text), {0: (task, 1)})


async def test_calls_of_a_batch_get_their_own_progress_on_one_stream(world: World) -> None:
    replica = world.replicas[0]
    session = await replica.begin("2025-03-26")
    answer = asyncio.create_task(replica.post([call("a", 1, "x"), call("b", 2, "y"), call("c", 3, None)], session))
    await speak(world, replica, runs=3)
    check(messages_of((await answer).text), {"x": ("a", 1), "y": ("b", 2)})


async def test_calls_without_a_session_get_their_own_progress(world: World) -> None:
    replica = world.replicas[0]

    def stateless(task: str, token: Token) -> Any:
        meta: Json = {
            "progressToken": token,
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "ask_agent"}
        return replica.post(ask(1, arguments={"task": task}, _meta=meta), **headers)

    answers = [asyncio.create_task(stateless("a", "p")), asyncio.create_task(stateless("b", "p"))]
    await speak(world, replica, runs=2)
    for task, answer in zip("ab", answers, strict=True):
        check(messages_of((await answer).text), {"p": (task, 1)})


async def test_calls_of_the_oldest_transport_share_a_stream_and_get_their_own_progress(world: World) -> None:
    """The messages come to replicas that do not hold the stream."""
    first, second, third = world.replicas
    messages = list[Json]()
    async with second.http.stream("GET", "/sse", headers=AUTH) as stream:
        lines = (line async for line in stream.aiter_lines() if line.startswith("data: "))
        address = (await anext(lines)).removeprefix("data: ")

        async def send(replica: Replica, message: Json) -> None:
            assert (await replica.http.post(address, json=message, headers=AUTH)).status_code == 202

        params = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        await send(first, request("initialize", params, id_="begin"))
        assert json.loads((await anext(lines)).removeprefix("data: "))["id"] == "begin"
        await send(third, call("a", 1, "x"))
        await send(first, call("b", 2, 0))
        await send(second, call("c", 3, None))
        speaking = asyncio.create_task(speak(world, second, runs=3))
        async with asyncio.timeout(60):
            while sum("id" in message for message in messages) < 3:
                messages.append(json.loads((await anext(lines)).removeprefix("data: ")))
        await speaking
    check(messages, {"x": ("a", 1), 0: ("b", 2)})

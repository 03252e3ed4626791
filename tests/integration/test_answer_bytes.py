"""An answer has the same bytes at every replica: by its key, as a response, in the rest of a stream, as an MCP resource."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.mcp_replicas import AUTH, BOTH, Json, Replica, World, ask, events, request, three_replicas

USAGE = '{"total_tokens":5,"cost":1.0,"prompt_tokens":3,"completion_tokens":2,"rate":1e3,"big":1180591620717411303424}'
ODD = '{"b":1.0,"a":1180591620717411303424,"\\u00e4":-0.0}'
MESSAGE = f'{{"role":"assistant","content":"h\\u00e9llo \\ud83d\\ude00 \\u2028","z":{ODD}}}'
LOGPROBS = '{"content":[{"token":"h\\u00e9","logprob":-0.0,"bytes":null,"a":1e-7}]}'
PIECES = ("hé", "llo ", "\ud83d", "\ude00 ", "\u2028")


def record(extra: str = "") -> str:
    """The end record of a pod, with its numbers and members as a model may write them."""
    choice = f'{{"index":0,"finish_reason":"stop","message":{MESSAGE},"logprobs":{LOGPROBS}}}'
    about = f'{{"zone":"b","cost":1.0,"aim":"\\u00e4{extra}"}}'
    return f'{{"type":"done","usage":{USAGE},"durationMs":7,"choices":[{choice}],"about":{about}}}'


def delta(text: str) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return json.dumps({"type": "delta", "choices": [choice]})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with three_replicas(tmp_path) as world:
        yield world


async def answered(
    world: World, asking: asyncio.Task[httpx2.Response], at: Replica, *, extra: str = ""
) -> httpx2.Response:
    """Return the answer after the run's pod told it to this replica."""
    pod = await world.pod(at)

    async def lines() -> AsyncIterator[bytes]:
        for line in ('{"type":"started"}', *map(delta, PIECES), record(extra)):
            yield line.encode() + b"\n"

    assert (await pod.post(lines())).status_code == 200
    return await asking


def post(replica: Replica, path: str, body: Json) -> asyncio.Task[httpx2.Response]:
    headers = AUTH | {"Idempotency-Key": "k"}
    return asyncio.create_task(replica.http.post(path, json=body, headers=headers))


DONE = b"data: [DONE]\n\n"
CHAT: Json = {"messages": [{"role": "user", "content": "hi"}]}
SHORT_AND_LONG = pytest.mark.parametrize("extra", ["", '\\"' * 100_000], ids=["short", "compressed"])


@SHORT_AND_LONG
@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/chat/completions", CHAT), ("/v1/completions", {"prompt": "hi"}), ("/v1/responses", {"input": "hi"})],
)
async def test_an_idempotency_key_gives_the_same_bytes_at_every_replica(
    world: World, path: str, body: Json, extra: str
) -> None:
    first = world.replicas[0]
    answer = await answered(world, post(first, path, body), first, extra=extra)
    assert answer.status_code == 200, answer.text
    for replica in world.replicas:
        world.clock.advance(2)
        assert (await post(replica, path, body)).content == answer.content


@SHORT_AND_LONG
async def test_a_response_has_the_same_bytes_at_every_replica(world: World, extra: str) -> None:
    first = world.replicas[0]
    answer = await answered(world, post(first, "/v1/responses", {"input": "hi"}), first, extra=extra)
    for replica in world.replicas:
        fetched = await replica.http.get(f"/v1/responses/{answer.json()['id']}", headers=AUTH)
        assert fetched.content == answer.content


async def test_the_rest_of_a_stream_has_the_same_bytes_at_every_replica(world: World) -> None:
    first = world.replicas[0]
    asking = post(first, "/v1/responses", {"input": "hi", "background": True, "stream": True})
    told = numbered((await answered(world, asking, first)).content)
    identity = json.loads(told[0].partition(b"data: ")[2])["response"]["id"]

    async def rest(replica: Replica, **after: int) -> bytes:
        params: dict[str, Any] = {"stream": "true"} | after
        return (await replica.http.get(f"/v1/responses/{identity}", params=params, headers=AUTH)).content

    whole = await rest(first)
    expected = numbered(whole)
    assert told[max(told)] == expected[max(expected)], "the last event holds the whole response"
    for number in expected:
        following = b"".join(event for at, event in expected.items() if at > number)
        for replica in world.replicas:
            assert await rest(replica, starting_after=number) == following + DONE


def numbered(stream: bytes) -> dict[int, bytes]:
    """The events of a whole stream by their numbers."""
    assert stream.endswith(DONE)
    found = [event + b"\n\n" for event in stream.removesuffix(DONE).split(b"\n\n")[:-1]]
    return {json.loads(event.partition(b"data: ")[2])["sequence_number"]: event for event in found if event[:1] != b":"}


@SHORT_AND_LONG
@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
async def test_a_resource_of_a_run_has_the_same_bytes_at_every_replica(world: World, version: str, extra: str) -> None:
    first = world.replicas[0]
    session = await first.begin(version)
    calling = asyncio.create_task(first.post(ask(), session))
    answer = await answered(world, calling, first, extra=extra)
    is_stream = "event-stream" in answer.headers["content-type"]
    called = (events(answer.text)[-1][1] if is_stream else answer.json()) or {}
    told: Json = called["result"]["structuredContent"]
    assert f'"usage":{USAGE}'.replace("1e3", "1000.0") in json.dumps(told, separators=(",", ":"))

    async def resource(replica: Replica) -> str:
        read = request("resources/read", {"uri": f"sympozium://runs/{told['run']}"})
        [content] = (await replica.post(read, session)).json()["result"]["contents"]
        text: str = content["text"]
        return text

    async def state(replica: Replica) -> bytes:
        got = request("tools/call", {"name": "get_run", "arguments": {"run": told["run"]}})
        return (await replica.post(got, session)).content

    texts = {await resource(replica) for replica in world.replicas}
    assert len(texts) == 1
    kept = json.loads(texts.pop())
    shared = {name: kept[name] for name in told}
    assert json.dumps(shared) == json.dumps(told)
    assert kept["text"] == "h\u00e9llo \U0001f600 \u2028"
    assert len({await state(replica) for replica in world.replicas}) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT | {"stream": True}),
        ("/v1/completions", {"prompt": "hi", "stream": True}),
        ("/v1/responses", {"input": "hi", "stream": True}),
        ("/mcp", ask(5, _meta={"progressToken": "p"})),
    ],
)
async def test_a_client_that_ends_lines_where_unicode_does_reads_each_event(
    world: World, path: str, body: Json
) -> None:
    """As Python's ``splitlines`` does, and with it httpx and httpx-sse before 0.4.2, which older MCP SDKs use."""
    first = world.replicas[0]
    headers = AUTH | ({**BOTH, "Mcp-Session-Id": await first.begin()} if path == "/mcp" else {})
    answer = await answered(world, asyncio.create_task(first.http.post(path, json=body, headers=headers)), first)
    lines = answer.content.decode().splitlines()
    assert lines == answer.content.decode().split("\n")[:-1]
    found = [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data: {")]
    assert "\u2028" in json.dumps(found, ensure_ascii=False)

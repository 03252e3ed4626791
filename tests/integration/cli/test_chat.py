"""Chat through a port-forward to a web endpoint of a test, and by runs where there is no way to one."""

import asyncio
import base64
import io
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.integration.cli.conftest import Plugin, agent_run, instance

from sympozium_api.resources import RUNS, SECRETS
from sympozium_cli.app import run
from sympozium_cli.chat_events import Ended, Started, Text, Waiting
from sympozium_cli.chatting import chat
from sympozium_cli.cluster import Cluster
from sympozium_cli.failures import Failure

SERVING = {"phase": "Serving", "webEndpoint": {"enabled": True, "serviceName": "the-service", "authSecretName": "keys"}}
QUESTION = [{"role": "user", "content": "Why?"}]
RAN = {"result": "Because.", "finishReason": "stop", "tokenUsage": {"totalTokens": 7}}
NO_RIGHT = (
    'secrets "keys" is forbidden: User "eve" cannot get resource "secrets" in API group "" in the namespace "default"'
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def secret(**entries: str) -> dict[str, Any]:
    data = {name.replace("_", "-"): base64.b64encode(value.encode()).decode() for name, value in entries.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "data": data}


@pytest.fixture
async def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[Handler], Awaitable[Path]]]:
    """Serves as the instance's web endpoint, where a kubectl of the test forwards to."""
    runners = list[web.AppRunner]()

    async def start(handler: Handler) -> Path:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", handler)
        runners.append(web.AppRunner(app))
        await runners[0].setup()
        site = web.TCPSite(runners[0], "127.0.0.1", 0)
        await site.start()
        [(host, port, *_)] = runners[0].addresses
        kubectl = tmp_path / "kubectl"
        said = f"Forwarding from {host}:{port} -> 8080"
        kubectl.write_text(f'#!/bin/sh\necho "$@" >"{tmp_path}/words"\necho "{said}"\nexec sleep 600\n')
        kubectl.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path

    yield start
    for runner in runners:
        await runner.cleanup()


def frames(*chunks: dict[str, Any] | str) -> bytes:
    return b"".join(
        b"data: " + (chunk if isinstance(chunk, str) else json.dumps(chunk)).encode() + b"\n\n" for chunk in chunks
    )


def piece(text: str, reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}


@pytest.fixture
def cluster(kubernetes: FakeKubernetes) -> Cluster:
    kubernetes.put(instance(status=SERVING))
    kubernetes.put(secret(api_key="sk-1", api_key_bob="sk-2"))
    return Cluster(kubernetes, "default", "test", ("--as=eve",))


async def test_an_answer_is_streamed_from_the_endpoint_with_the_users_key(
    cluster: Cluster, serve: Callable[[Handler], Awaitable[Path]]
) -> None:
    asked = list[Any]()
    first_was_seen = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((request.headers["Authorization"], await request.json()))
        response = web.StreamResponse(headers={"x-sympozium-run": "assistant-1"})
        await response.prepare(request)
        await response.write(frames(piece("Be")))
        await first_was_seen.wait()
        await response.write(b": ping\n\n" + frames(piece("cause", "stop"), {"usage": {"total_tokens": 7}}, "[DONE]"))
        return response

    folder = await serve(answer)
    events = list[Any]()
    async for event in chat(cluster, "default", "assistant", QUESTION):
        events.append(event)
        if event == Text("Be"):
            first_was_seen.set()
    assert events == [Started("assistant-1"), Text("Be"), Text("cause"), Ended("assistant-1", "stop", 7)]
    assert (folder / "words").read_text().split() == [
        "--as=eve",
        "port-forward",
        "--namespace=default",
        "--address=127.0.0.1",
        "service/the-service",
        ":8080",
    ]
    [(authorization, body)] = asked
    assert authorization == "Bearer sk-1"
    assert (body["model"], body["stream"], body["messages"]) == ("assistant", True, QUESTION)


async def test_leaving_an_answer_closes_its_request(
    cluster: Cluster, serve: Callable[[Handler], Awaitable[Path]]
) -> None:
    left = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(frames(piece("on ")))
                await asyncio.sleep(0.01)
        finally:
            left.set()

    await serve(answer)
    events = chat(cluster, "default", "assistant", QUESTION)
    async for event in events:
        if isinstance(event, Text):
            break
    await events.aclose()
    async with asyncio.timeout(60):
        await left.wait()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (429, b'{"error": {"message": "slower, please", "type": "rate_limit"}}', "slower, please"),
        (503, b"<html>", "answers 503"),
        (200, frames(piece("Be"), {"error": {"message": "the model is gone"}}), "the model is gone"),
        (200, frames(piece("Be")), "broke off"),
        (200, b"data: {\n\n", "no answer"),
    ],
)
async def test_a_failed_answer_is_a_failure_in_the_endpoints_words(
    status: int, body: bytes, said: str, cluster: Cluster, serve: Callable[[Handler], Awaitable[Path]]
) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    await serve(answer)
    with pytest.raises(Failure, match=said):
        async for _ in chat(cluster, "default", "assistant", QUESTION):
            pass


def end_the_run(kubernetes: FakeKubernetes, **status: Any) -> None:
    """Let the run that comes next end as soon as somebody follows it."""

    def end() -> None:
        [name] = kubernetes.names(RUNS)
        kubernetes.put(agent_run(name, **kubernetes.object(RUNS, name)["spec"], status=status))

    kubernetes.meanwhile("list", RUNS, end)


@pytest.mark.parametrize("state", ["off", "forbidden", "no keys", "no forward"])
async def test_without_a_way_to_the_endpoint_the_question_is_a_run(
    state: str, kubernetes: FakeKubernetes, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    if state == "off":
        kubernetes.put(instance(status={"phase": "Running"}))
    elif state == "forbidden":
        kubernetes.refuse("get", SECRETS, api_error(403, "Forbidden", NO_RIGHT))
    elif state == "no keys":
        kubernetes.remove(SECRETS, "keys")
    else:
        monkeypatch.setenv("PATH", "/nowhere")
    end_the_run(kubernetes, phase="Succeeded", **RAN)
    events = [event async for event in chat(cluster, "default", "assistant", QUESTION)]
    [name] = kubernetes.names(RUNS)
    assert kubernetes.object(RUNS, name)["spec"]["request"] == {"messages": QUESTION}
    assert [event for event in events if not isinstance(event, Waiting)] == [
        Started(name),
        Text("Because."),
        Ended(name, "stop", 7),
    ]


async def test_leaving_a_run_cancels_it(kubernetes: FakeKubernetes, cluster: Cluster) -> None:
    kubernetes.put(instance(status={"phase": "Running"}))
    events = chat(cluster, "default", "assistant", QUESTION)
    async for _ in events:
        break
    await events.aclose()
    [name] = kubernetes.names(RUNS)
    assert kubernetes.object(RUNS, name)["spec"]["cancel"] is True
    following = asyncio.create_task(until_it_ends(cluster))
    async with asyncio.timeout(60):
        while not kubernetes.watches_open(RUNS):
            await asyncio.sleep(0.01)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    [second] = set(kubernetes.names(RUNS)) - {name}
    assert kubernetes.object(RUNS, second)["spec"]["cancel"] is True


async def until_it_ends(cluster: Cluster) -> None:
    async for _ in chat(cluster, "default", "assistant", QUESTION):
        pass


def test_the_command_prints_the_answer_and_says_why_it_came_as_a_whole(
    plugin: Plugin, kubernetes: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubernetes.put(instance(status={"phase": "Running"}))
    end_the_run(kubernetes, phase="Succeeded", result="\x1b[31mBecause\x1b[0m.")
    monkeypatch.setattr("sys.stdin", io.StringIO("Why?\nSay it.\n"))
    done = plugin("chat", "assistant", "-")
    assert (done.code, done.out) == (0, "Because.\n")
    assert "its web endpoint is not on: the question is a run of its own" in done.err
    [name] = kubernetes.names(RUNS)
    assert kubernetes.object(RUNS, name)["spec"]["request"]["messages"][0]["content"] == "Why?\nSay it.\n"


class Terminal(io.StringIO):
    """A terminal at which nobody types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("plugin")
def test_a_conversation_keeps_what_was_said_and_leaves_out_what_failed(
    kubernetes: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kubernetes.put(instance(status={"phase": "Running"}))
    endings: Iterator[dict[str, Any]] = iter(
        [{"phase": "Succeeded", **RAN}, {"phase": "Cancelled"}, {"phase": "Succeeded", **RAN}]
    )
    asked = list[Any]()

    def end() -> None:
        [name] = [
            name for name in kubernetes.names(RUNS) if not kubernetes.object(RUNS, name).get("status", {}).get("phase")
        ]
        spec = kubernetes.object(RUNS, name)["spec"]
        asked.append([message["content"] for message in spec["request"]["messages"]])
        kubernetes.put(agent_run(name, **spec, status=next(endings)))
        kubernetes.meanwhile("list", RUNS, end)

    kubernetes.meanwhile("list", RUNS, end)
    typed = iter(["Why?", "  ", "What failed?", "And then?"])
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda *_: next(typed, None) or leave())
    assert run(["chat", "assistant"]) == 0
    assert asked == [["Why?"], ["Why?", "Because.", "What failed?"], ["Why?", "Because.", "And then?"]]
    done = capsys.readouterr()
    assert done.out == "Because.\nBecause.\n"
    assert "did not succeed: it was cancelled" in done.err


def leave() -> str:
    raise EOFError


def test_a_run_that_is_waited_for_prints_its_answer_or_why_there_is_none(
    plugin: Plugin, kubernetes: FakeKubernetes
) -> None:
    kubernetes.put(instance(status={"phase": "Running"}))
    assert plugin("run", "assistant", "Why?").out.endswith(" created\n")
    kubernetes.remove(RUNS, kubernetes.names(RUNS)[0])
    end_the_run(kubernetes, phase="Succeeded", result="Because.")
    assert plugin("run", "assistant", "Why?", "--wait").out == "Because.\n"
    kubernetes.remove(RUNS, kubernetes.names(RUNS)[0])
    end_the_run(kubernetes, phase="Failed", error={"type": "timeout", "message": "too long", "httpStatus": 504})
    done = plugin("run", "assistant", "Why?", "--wait")
    assert (done.code, done.out) == (1, "")
    assert "did not succeed: timeout: too long" in done.err
    assert plugin("run", "nobody", "Why?").code == 1
    assert plugin("chat", "assistant", " ").code == 1

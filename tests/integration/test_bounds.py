"""What a web-proxy holds for its callers, and how much they may ask of it, has bounds."""

import asyncio
import itertools
import json
from typing import Any

import httpx2
import pytest
from tests.fakes.agents import Agents
from tests.fakes.pod import request_of
from tests.integration.conftest import KEY, Proxy, eventually

from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_runs.run_store import Hold

HEADERS = {"Authorization": f"Bearer {KEY}"}
LARGE = "x" * 30_000


def run_key(name: str) -> tuple[str, str]:
    return "default", name


async def test_the_question_of_a_waiting_run_is_held_by_the_api_server_alone(proxy: Proxy) -> None:
    asking = asyncio.create_task(proxy.chat(messages=[{"role": "user", "content": LARGE}]))
    pod = await proxy.pod()
    broker = proxy.context.runs._broker
    await eventually(lambda: proxy.context.budget.used == 0)
    kept = broker.remembered(run_key(pod.run))
    assert kept
    assert not kept.has_contents
    task = (await pod.task()).json()
    assert task["request"]["messages"] == [{"role": "user", "content": LARGE}]
    await pod.answer("Hello")
    assert (await asking).json()["choices"][0]["message"]["content"] == "Hello"


async def test_a_short_question_is_held_until_its_agent_has_it(proxy: Proxy) -> None:
    asking = asyncio.create_task(proxy.chat())
    pod = await proxy.pod()
    broker = proxy.context.runs._broker
    await eventually(lambda: broker.remembered(run_key(pod.run)) is not None)
    reads = len(proxy.kubernetes.reads)
    assert (await pod.task()).json()["request"]["messages"] == [{"role": "user", "content": "hello"}]
    assert len(proxy.kubernetes.reads) == reads  # decision 0027
    kept = broker.remembered(run_key(pod.run))
    assert kept
    assert not kept.has_contents
    assert (await pod.task()).json()["request"]["messages"] == [{"role": "user", "content": "hello"}]
    await pod.answer("Hello")
    await asking


async def test_runs_of_others_are_watched_without_their_contents(proxy: Proxy) -> None:
    for number in range(3):
        proxy.kubernetes.put(
            {
                "apiVersion": "sympozium.ai/v1alpha1",
                "kind": "AgentRun",
                "metadata": {"name": f"other-{number}"},
                "spec": {"agentRef": "demo", "mode": "task", "task": LARGE},
            }
        )
    seen, on_created = list[AgentRun](), proxy.context.runs.on_created

    def is_seen(run: AgentRun) -> None:
        seen.append(run)
        on_created(run)

    proxy.context.runs.on_created = is_seen  # type: ignore[method-assign]
    proxy.kubernetes.expire_watches()
    proxy.kubernetes.put(proxy.kubernetes.object(RUNS, "other-0") | {"metadata": {"name": "other-3"}})
    await eventually(lambda: proxy.context.open_runs() == 4)
    assert seen
    assert not any(run.has_contents for run in seen)


async def test_new_requests_wait_while_a_replica_holds_as_much_as_it_may(proxy: Proxy) -> None:
    proxy.context.budget.add(proxy.context.budget.limit)
    refused = await proxy.chat()
    listed = await proxy.http.get("/v1/models", headers=HEADERS)
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    accepts = {"Accept": "application/json, text/event-stream"}
    over_mcp = await proxy.http.post("/mcp", json=body, headers=HEADERS | accepts)
    for answer in (refused, listed, over_mcp):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["code"] == "overloaded"
    figures = await proxy.metrics()
    assert "sympozium_held_bytes 6.71" in figures
    assert "sympozium_held_bytes_limit 6.7108864e+07" in figures
    assert 'sympozium_requests_refused_total{reason="overloaded"} 3.0' in figures
    proxy.context.budget.add(-proxy.context.budget.limit)
    assert (await proxy.http.get("/v1/models", headers=HEADERS)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/mcp"])
async def test_a_body_is_counted_until_its_request_ends(proxy: Proxy, path: str) -> None:
    sent = asyncio.Event()

    async def slowly() -> Any:
        yield b'{"messages": "' + LARGE.encode()
        await sent.wait()
        yield b'"}'

    accepts = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    asking = asyncio.create_task(proxy.http.post(path, content=slowly(), headers=HEADERS | accepts))
    await eventually(lambda: proxy.context.budget.used > len(LARGE))
    sent.set()
    assert (await asking).status_code == 400
    await eventually(lambda: proxy.context.budget.used == 0)


async def stored_responses(proxy: Proxy, count: int, texts: list[str]) -> list[list[str]]:
    """Ended responses with these texts as their input, and the ids of the items of each."""
    given = [{"role": "user", "content": text} for text in texts]
    made = await proxy.http.post("/v1/responses", json={"input": given, "background": True}, headers=HEADERS)
    pod = await proxy.pod()
    await pod.answer("Hello")
    run = proxy.kubernetes.object(RUNS, pod.run)
    listed = await proxy.http.get(f"/v1/responses/{made.json()['id']}/input_items?order=asc", headers=HEADERS)
    ids = [item["id"] for item in listed.json()["data"]]
    copies = [f"demo-copy{number:02}" for number in range(count)]
    for name in copies:
        kept = {key: value for key, value in run["metadata"].items() if key not in ("uid", "resourceVersion")}
        proxy.kubernetes.put(run | {"metadata": kept | {"name": name}})
    return [[id_.replace(pod.run, name) for id_ in ids] for name in copies]


def referring(ids: list[str]) -> dict[str, Any]:
    return {"input": [{"type": "item_reference", "id": id_} for id_ in ids], "background": True}


async def test_referred_items_are_read_until_a_conversation_of_them_is_too_large(proxy: Proxy) -> None:
    responses = await stored_responses(proxy, 32, ["a" * 30_000])
    proxy.kubernetes.reads.clear()
    refused = await proxy.http.post("/v1/responses", json=referring([id_ for [id_] in responses]), headers=HEADERS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "conversation_too_large")
    assert len(proxy.kubernetes.reads) == 3, "of 30 kB each, with a limit of 64 KiB"
    await eventually(lambda: proxy.context.budget.used == 0)


async def test_of_referred_responses_only_the_named_items_are_held(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses = await stored_responses(proxy, 32, ["a" * 1000, "b" * 30_000])
    held, get = list[int](), proxy.context.runs.get

    async def counted(namespace: str, name: str, hold: Hold) -> AgentRun:
        held.append(proxy.context.budget.used)
        return await get(namespace, name, hold)

    monkeypatch.setattr(proxy.context.runs, "get", counted)
    body = referring([first for first, _ in responses])
    made = await proxy.http.post("/v1/responses", json=body, headers=HEADERS)
    assert made.json()["status"] == "queued"
    grown = [after - before for before, after in itertools.pairwise(held)]
    assert len(grown) == 31
    assert all(1000 <= size < 10_000 for size in grown)
    run = proxy.kubernetes.object(RUNS, made.json()["id"].removeprefix("resp_"))
    question = request_of(run)["messages"]
    assert question == [{"role": "user", "content": "a" * 1000}] * 32
    await eventually(lambda: proxy.context.budget.used == 0)


async def test_an_item_counts_as_often_as_the_input_refers_to_it(proxy: Proxy) -> None:
    [[item]] = await stored_responses(proxy, 1, ["a" * 1000])
    asked = [await proxy.http.post("/v1/responses", json=referring([item] * n), headers=HEADERS) for n in (50, 70)]
    assert [answer.status_code for answer in asked] == [200, 413]


async def test_a_continued_conversation_is_held(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    [[item]] = await stored_responses(proxy, 1, ["a" * 1000])
    held, create = list[int](), proxy.kubernetes.create

    async def counted(*args: Any, **named: Any) -> Any:
        held.append(proxy.context.budget.used)
        return await create(*args, **named)

    monkeypatch.setattr(proxy.kubernetes, "create", counted)
    previous = "resp_" + item.split("_")[1]
    body = {"input": "And?", "previous_response_id": previous, "background": True}
    assert (await proxy.http.post("/v1/responses", json=body, headers=HEADERS)).status_code == 200
    assert 3000 < held[0] < 10_000
    await eventually(lambda: proxy.context.budget.used == 0)


READS: dict[str, tuple[str, str]] = {
    "models": ("GET", "/v1/models"),
    "model": ("GET", "/v1/models/demo"),
    "response": ("GET", "/v1/responses/resp_demo-1"),
    "stream": ("GET", "/v1/responses/resp_demo-1?stream=true"),
    "items": ("GET", "/v1/responses/resp_demo-1/input_items"),
    "cancel": ("POST", "/v1/responses/resp_demo-1/cancel"),
    "delete": ("DELETE", "/v1/responses/resp_demo-1"),
    "mcp stream": ("GET", "/mcp"),
    "mcp session": ("DELETE", "/mcp"),
}


@pytest.mark.parametrize("read", READS)
async def test_reads_have_a_limit_of_their_own_ten_times_that_of_runs(proxy: Proxy, read: str) -> None:
    limit_reads_to(proxy, burst=1)
    method, path = READS[read]
    answers = [await proxy.http.request(method, path, headers=HEADERS) for _ in range(11)]
    assert {answer.status_code for answer in answers[:10]} <= {200, 400, 404, 405}
    assert answers[0].headers["x-ratelimit-limit-requests"] == "10"
    assert [int(answer.headers["x-ratelimit-remaining-requests"]) for answer in answers[:10]] == [*range(9, -1, -1)]
    refused = answers[10]
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    key = (*proxy.context.settings.instance_key, "api-key")
    assert proxy.context.limiter.take(key, proxy.context.instance_cache.rate_limit).allowed  # runs have theirs


async def test_lists_over_mcp_are_limited_as_reads_and_list_no_contents(proxy: Proxy, agents: Agents) -> None:
    assert agents
    await proxy.chat()
    limit_reads_to(proxy, burst=1, reads=60)
    listed = itertools.count(1)
    headers = HEADERS | {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}

    async def call(method: str, **more: str) -> httpx2.Response:
        body = {"jsonrpc": "2.0", "id": next(listed), "method": method, "params": PARAMS.get(method, {})}
        return await proxy.http.post("/mcp", json=body, headers=headers | more)

    session = {"Mcp-Session-Id": (await call("initialize")).headers["mcp-session-id"]}
    answers = [await call("resources/list", **session) for _ in range(30)]
    assert [answer.status_code for answer in answers] == [200] * 9 + [429] * 21
    assert json.loads(answers[-1].content)["error"]["data"]["type"] == "rate_limit_exceeded"
    assert answers[-1].headers["x-ratelimit-limit-requests"] == "10"
    assert "hello" not in answers[0].text
    notification = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    refused = await proxy.http.post("/mcp", json=notification, headers=headers | session)
    assert refused.status_code == 429


PARAMS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
}


def limit_reads_to(proxy: Proxy, *, burst: int, reads: int | None = None) -> None:
    limit: dict[str, Any] = {"requestsPerMinute": 60, "burstSize": burst}
    own = proxy.kubernetes.objects["sympoziuminstances", "default", "demo"]
    spec = own["spec"] | {"webEndpoint": {"rateLimit": limit | ({"readsPerMinute": reads} if reads else {})}}
    proxy.context.instance_cache.update(SympoziumInstance.model_validate(own | {"spec": spec}))

"""Limits of single keys: entries ``limits.<key>`` beside the keys, budgets of tokens included, over all replicas."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import httpx2
import pytest
from tests.fakes.agents import Agents
from tests.fakes.clock import FakeClock
from tests.fakes.closing_server import closing_server
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.model import Model
from tests.fakes.pod import TokenIssuer
from tests.integration.conftest import Proxy, assembled, eventually, instance, session_key

from sympozium_api import key_limits, names
from sympozium_api.resources import RUNS, Object
from sympozium_webproxy.budgets.usage_reports import UsageReports
from sympozium_webproxy.settings import WebProxySettings

ALICE = "sk-alice"
SERVER_RUN = "demo-web-endpoint"
TOKENS = 10
"""Tokens of one answer of the scripted model."""


@pytest.fixture
async def alice(proxy: Proxy) -> Proxy:
    (proxy.keys / "api-key-alice").write_text(ALICE)
    proxy.kubernetes.put(server_run())
    proxy.clock.advance(10)
    return proxy


def server_run(**status: object) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": {"name": SERVER_RUN, "namespace": "default"},
        "spec": {"agentRef": "demo", "mode": "server"},
        "status": {"phase": "Serving"} | status,
    }


def limit(proxy: Proxy, text: str) -> None:
    (proxy.keys / "limits.api-key-alice").write_text(text)
    proxy.clock.advance(3)


async def used(proxy: Proxy) -> int:
    answer = await proxy.chat(key=ALICE)
    return int(answer.headers["x-ratelimit-limit-tokens"]) - int(answer.headers["x-ratelimit-remaining-tokens"])


async def test_a_key_has_limits_of_its_own_and_the_others_the_instances(alice: Proxy, agents: Agents) -> None:
    limit(alice, "requestsPerMinute: 1\nburstSize: 2\n")
    statuses = [(await alice.chat(key=ALICE)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    other = await alice.chat()
    assert other.status_code == 200
    assert other.headers["x-ratelimit-limit-requests"] == "100"
    assert "x-ratelimit-limit-tokens" not in other.headers


async def test_reads_of_a_key_follow_its_own_limits(alice: Proxy) -> None:
    limit(alice, "{requestsPerMinute: 1, burstSize: 1, readsPerMinute: 3}")
    answer = await alice.http.get("/v1/models", headers={"Authorization": f"Bearer {ALICE}"})
    assert answer.headers["x-ratelimit-limit-requests"] == "10"


@pytest.mark.parametrize("text", ["tokensPerDay: 100k", "requestsPerMinute: many", "rpm: 5", "fast", "\udcff"])
async def test_a_key_whose_limits_cannot_be_read_makes_no_runs(alice: Proxy, agents: Agents, text: str) -> None:
    """A typing error in a budget must not be no budget."""
    (alice.keys / "limits.api-key-alice").write_bytes(text.encode(errors="surrogateescape"))
    alice.clock.advance(3)
    answer = await alice.chat(key=ALICE)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, "key_limits_invalid")
    assert "limits.api-key-alice" in error["message"]
    assert answer.headers["x-ratelimit-limit-requests"] == "100"
    models = await alice.http.get("/v1/models", headers={"Authorization": f"Bearer {ALICE}"})
    assert (models.status_code, (await alice.chat()).status_code) == (200, 200), "reads, and other keys"
    limit(alice, "tokensPerDay: 100000")
    alice.clock.advance(3)
    assert (await alice.chat(key=ALICE)).status_code == 200


async def test_keys_whose_limits_are_one_too_many_make_no_runs(
    alice: Proxy, agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_limits, "MAX_ENTRIES", 1)
    (alice.keys / "limits.api-key").write_text("tokensPerDay: 100000")
    limit(alice, "tokensPerDay: 100000")
    alice.clock.advance(3)
    assert ((await alice.chat()).status_code, (await alice.chat(key=ALICE)).status_code) == (200, 403)


async def test_an_entry_with_limits_is_no_key(alice: Proxy) -> None:
    limit(alice, "name: Alice")
    assert (await alice.chat(key="name: Alice")).status_code == 401


async def test_a_keys_name_stands_on_its_runs_and_in_the_metrics(alice: Proxy, agents: Agents) -> None:
    await alice.chat(key=ALICE)
    limit(alice, "name: Alice L.")
    await alice.chat(key=ALICE)
    shown = [
        alice.kubernetes.object(RUNS, run)["metadata"]["annotations"][names.ANNOTATION_KEY_NAME]
        for run in alice.kubernetes.names(RUNS)
        if run != SERVER_RUN
    ]
    assert sorted(shown) == ["Alice L.", "alice"]
    assert 'sympozium_key_info{key="api-key-alice",name="Alice L."} 1.0' in await alice.metrics()


async def test_a_spent_budget_is_429_with_the_time_of_its_reset(alice: Proxy, agents: Agents) -> None:
    limit(alice, f"tokensPerDay: {TOKENS + 1}")
    first, second = await alice.chat(key=ALICE), await alice.chat(key=ALICE)
    assert (first.headers["x-ratelimit-limit-tokens"], first.headers["x-ratelimit-remaining-tokens"]) == (
        str(TOKENS + 1),
        str(TOKENS + 1),
    )
    assert second.headers["x-ratelimit-remaining-tokens"] == "1"
    spent = await alice.chat(key=ALICE)
    assert spent.status_code == 429
    now = alice.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    error = spent.json()["error"]
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert f"{TOKENS + 1} tokens per day. The next one begins at {midnight:%Y-%m-%dT00:00:00Z}" in error["message"]
    assert abs(int(spent.headers["retry-after"]) - (midnight - now).total_seconds()) <= 1
    assert spent.headers["x-ratelimit-reset-tokens"] == f"{spent.headers['retry-after']}s"
    assert spent.headers["x-should-retry"] == "false"
    assert (await alice.chat()).status_code == 200  # other keys have no budget
    shown = await alice.metrics()
    assert f'sympozium_key_tokens_today{{key="api-key-alice"}} {2 * TOKENS}.0' in shown
    assert f'sympozium_key_token_budget{{key="api-key-alice"}} {TOKENS + 1}.0' in shown
    alice.clock.advance((midnight - now).total_seconds())
    assert (await alice.chat(key=ALICE)).status_code == 200


@pytest.mark.parametrize("name", ["embed", "usage-first"])
async def test_tokens_of_embeddings_count_wherever_the_model_reports_them(
    alice: Proxy, model: Model, agents: Agents, name: str
) -> None:
    await alice.use_model(model, "instant", agent={"embeddingModels": [name]})
    limit(alice, "tokensPerDay: 1000")
    body = {"model": name, "input": ["a text"] * 40}
    answer = await alice.http.post("/v1/embeddings", json=body, headers={"Authorization": f"Bearer {ALICE}"})
    assert (answer.status_code, len(answer.content) > 2000) == (200, True)
    assert alice.context.budgets.usage() == {"api-key-alice": (40, 1000)}


class TestEmbeddingsWithoutAReader:
    """What the model counted is counted, whatever the caller does with the answer."""

    BODY: Object = {"model": "embed-late", "input": ["a text"] * 40}
    HEADERS: ClassVar = {"Authorization": f"Bearer {ALICE}"}
    HURRIED: ClassVar = HEADERS | {"x-request-timeout": "2"}

    @pytest.fixture(autouse=True)
    def limited(self, alice: Proxy) -> None:
        limit(alice, "tokensPerDay: 100000")

    @pytest.fixture
    async def late(self, alice: Proxy) -> AsyncIterator["LateModel"]:
        late = LateModel()
        async with closing_server(late.serve) as port:
            at = Model()
            at.url = f"http://127.0.0.1:{port}/v1"
            await alice.use_model(at, "late", agent={"embeddingModels": ["embed-late"]})
            yield late

    async def is_counted(self, alice: Proxy, tokens: int) -> None:
        await eventually(lambda: alice.context.budgets.usage()["api-key-alice"][0] == tokens)

    async def test_a_caller_that_leaves_before_the_answer(self, alice: Proxy, late: "LateModel") -> None:
        asked = asyncio.create_task(alice.http.post("/v1/embeddings", json=self.BODY, headers=self.HEADERS))
        await late.asked.wait()
        asked.cancel()
        late.may_begin.set()
        late.may_end.set()
        await self.is_counted(alice, 40)

    async def test_a_caller_whose_deadline_comes_first(self, alice: Proxy, late: "LateModel") -> None:
        answer = await alice.http.post("/v1/embeddings", json=self.BODY, headers=self.HURRIED)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
        late.may_begin.set()
        late.may_end.set()
        await self.is_counted(alice, 40)

    async def test_a_caller_whose_deadline_comes_amid_the_answer(self, alice: Proxy, late: "LateModel") -> None:
        late.may_begin.set()
        with pytest.raises(httpx2.RemoteProtocolError):
            await alice.http.post("/v1/embeddings", json=self.BODY, headers=self.HURRIED)
        late.may_end.set()
        await self.is_counted(alice, 40)

    async def test_a_caller_that_reads_no_more_than_the_beginning(self, alice: Proxy, model: Model) -> None:
        await alice.use_model(model, "instant", agent={"embeddingModels": ["embed"]})
        body = {"model": "embed", "input": ["a"] * 2000}
        async with alice.http.stream("POST", "/v1/embeddings", json=body, headers=self.HEADERS) as answer:
            assert answer.status_code == 200
            await anext(answer.aiter_raw())
        await self.is_counted(alice, 2000)


class LateModel:
    """A model server that answers to one request for embeddings as far as it may."""

    def __init__(self) -> None:
        self.asked, self.may_begin, self.may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        usage = b'"usage": {"total_tokens": 40}}'
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        await self.may_begin.wait()
        writer.write(
            b"HTTP/1.1 200 -\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n{" % (1 + len(usage))
        )
        await self.may_end.wait()
        writer.write(usage)
        writer.close()


async def test_an_answer_that_its_caller_cuts_off_is_counted(alice: Proxy, model: Model, agents: Agents) -> None:
    await alice.use_model(model, "slow:500:5")
    limit(alice, "tokensPerDay: 1000")
    body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    asked = alice.http.stream("POST", "/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {ALICE}"})
    async with asked as answer:
        pieces = 0
        async for line in answer.aiter_lines():
            pieces += line.startswith("data: ")
            if pieces == 20:
                break
    await eventually(lambda: 18 <= alice.context.budgets.usage()["api-key-alice"][0] < 200)


async def test_tokens_are_reported_once_and_add_up_over_replicas(alice: Proxy, agents: Agents) -> None:
    limit(alice, "tokensPerDay: 1000")
    today = alice.clock.now().date().isoformat()
    reports = UsageReports(alice.kubernetes, "default", "demo", alice.context.budgets)
    await reports.report()
    assert (
        "keyUsage" not in alice.kubernetes.object(RUNS, SERVER_RUN)["status"]
    )  # nothing was used, so nothing is written
    await alice.chat(key=ALICE)
    await reports.report()
    await reports.report()
    assert alice.kubernetes.object(RUNS, SERVER_RUN)["status"] == {
        "phase": "Serving",
        "keyUsage": {"day": today, "tokens": {"api-key-alice": TOKENS}},
    }
    other = {"day": today, "tokens": {"api-key-alice": TOKENS + 100}}
    alice.kubernetes.put(server_run(keyUsage=other))  # another replica's report
    await eventually(lambda: alice.context.budgets.usage()["api-key-alice"] == (TOKENS + 100, 1000))
    assert await used(alice) == TOKENS + 100
    await reports.report()
    stored = alice.kubernetes.object(RUNS, SERVER_RUN)["status"]["keyUsage"]
    assert stored["tokens"] == {"api-key-alice": 2 * TOKENS + 100}


async def test_a_spent_budget_keeps_no_answer_from_the_retry_of_its_run(alice: Proxy, agents: Agents) -> None:
    limit(alice, f"tokensPerDay: {TOKENS}")

    async def ask(path: str, key: str, **fields: object) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {ALICE}", "Idempotency-Key": key}
        return await alice.http.post(f"/v1/{path}", json=fields, headers=headers)

    hello = [{"role": "user", "content": "hello"}]
    first = await ask("chat/completions", "one", messages=hello)
    again = await ask("chat/completions", "one", messages=hello)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    runs = len(alice.kubernetes.names(RUNS))
    for path, fields in (("chat/completions", {"messages": hello}), ("responses", {"input": "hi"}), ("embeddings", {})):
        spent = await ask(path, "two", **fields)
        assert (spent.status_code, spent.json()["error"]["code"]) == (429, "insufficient_quota")
        assert spent.headers["x-should-retry"] == "false"
    assert len(alice.kubernetes.names(RUNS)) == runs


async def test_a_status_that_does_not_keep_the_tokens_gives_no_new_budget(alice: Proxy, agents: Agents) -> None:
    """As with the CRD of 0.2.0, which prunes the field, or after a restore."""
    limit(alice, "tokensPerDay: 1000")
    reports = UsageReports(alice.kubernetes, "default", "demo", alice.context.budgets)
    for count in (1, 2, 3):
        await alice.chat(key=ALICE)
        await reports.report()
        assert alice.context.budgets.usage() == {"api-key-alice": (count * TOKENS, 1000)}
        alice.kubernetes.put(server_run(keyUsage=None))


async def test_a_new_day_forgets_the_last_one(alice: Proxy, agents: Agents) -> None:
    limit(alice, "tokensPerDay: 1000")
    alice.kubernetes.put(
        server_run(keyUsage={"day": "2001-01-01", "tokens": {"api-key-alice": 999, "api-key-gone": 5}})
    )
    await alice.chat(key=ALICE)
    await UsageReports(alice.kubernetes, "default", "demo", alice.context.budgets).report()
    stored = alice.kubernetes.object(RUNS, SERVER_RUN)["status"]["keyUsage"]
    assert stored == {"day": alice.clock.now().date().isoformat(), "tokens": {"api-key-alice": TOKENS}}


async def test_reports_of_replicas_at_once_lose_nothing(alice: Proxy, agents: Agents) -> None:
    limit(alice, "tokensPerDay: 1000")
    reports = UsageReports(alice.kubernetes, "default", "demo", alice.context.budgets)
    await alice.chat(key=ALICE)
    await asyncio.gather(*(reports.report() for _ in range(3)))
    await eventually(lambda: not alice.context.budgets.unreported())


async def test_a_new_replica_knows_what_was_used_before(tmp_path: Path) -> None:
    (tmp_path / "api-key-alice").write_text(ALICE)
    (tmp_path / "limits.api-key-alice").write_text("tokensPerDay: 100")
    clock = FakeClock()
    kubernetes = FakeKubernetes(clock.now)
    TokenIssuer(kubernetes)
    kubernetes.put(instance())
    usage = {"day": clock.now().date().isoformat(), "tokens": {"api-key-alice": 100}}
    kubernetes.put(server_run(keyUsage=usage))
    settings = WebProxySettings("default", "demo", "127.0.0.1", api_keys=tmp_path, session_key=session_key(tmp_path))
    async with assembled(kubernetes, settings, clock) as (_, _, _, http):
        body = {"messages": [{"role": "user", "content": "hello"}]}
        answer = await http.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {ALICE}"})
    assert answer.json()["error"]["code"] == "insufficient_quota"

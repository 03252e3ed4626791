"""Policies at the web-proxy's own doors: every dialect and MCP refuse what is denied, before there is a run."""

from typing import Any

import pytest
from tests.integration.conftest import KEY, Proxy, eventually, instance, put_document
from tests.mcp_clients import ERAS, connected
from tests.unit.api.policies import effective_policy

from sympozium_api.agent_document import AgentDocument
from sympozium_api.resources import RUNS, Object

AGENT = {"model": "small", "baseURL": "http://model/v1", "allowedModels": ["small-2", "large-2"], "runTimeout": "10m"}
CALLER = {"Authorization": f"Bearer {KEY}"}
MESSAGES = [{"role": "user", "content": "hello"}]


async def bound(proxy: Proxy, agent: Object, *specs: Object) -> None:
    """Let policies bind the instance, as the operator tells it."""
    digest = put_document(proxy.kubernetes, AgentDocument(policy=effective_policy(*specs)))
    proxy.kubernetes.put(instance(agents={"default": agent}) | {"status": {"agentDocument": digest}})
    await eventually(lambda: proxy.context.instance_cache.served().instance.status.agent_document == digest)


@pytest.fixture
async def without_large(proxy: Proxy) -> None:
    """A policy denies the instance's large model, and one of its models of embeddings."""
    agent = AGENT | {"embeddingModels": ["large-embed"]}
    await bound(proxy, agent, {"models": {"deny": ["*:large*"]}})


@pytest.mark.usefixtures("without_large")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", {"model": "large-2", "messages": MESSAGES}),
        ("chat/completions", {"model": "large-2", "messages": MESSAGES, "stream": True}),
        ("chat/completions", {"model": "LARGE-2", "messages": MESSAGES}),
        ("responses", {"model": "large-2", "input": "hello"}),
        ("responses", {"model": "large-2", "input": "hello", "stream": True}),
        ("responses", {"model": "large-2", "input": "hello", "background": True}),
        ("embeddings", {"model": "large-embed", "input": "hello"}),
    ],
    ids=str,
)
async def test_a_request_for_a_denied_model_is_refused_without_a_run(proxy: Proxy, path: str, body: Object) -> None:
    answer = await proxy.http.post(f"/v1/{path}", json=body, headers=CALLER)
    expected = 404 if body["model"].isupper() else 403  # a model of another name is none of the instance's
    assert answer.status_code == expected, answer.text
    if expected == 403:
        error: dict[str, Any] = answer.json()["error"]
        assert (error["code"], error["param"]) == ("policy_denied", "model")
        assert "p0 (models.deny)" in error["message"]
    assert proxy.kubernetes.names(RUNS) == []


@pytest.mark.usefixtures("without_large")
async def test_a_denied_model_is_not_listed_and_the_others_have_runs(proxy: Proxy) -> None:
    listed = (await proxy.http.get("/v1/models", headers=CALLER)).json()["data"]
    assert [model["id"] for model in listed] == ["small", "demo", "default", "small-2"]
    assert (await proxy.http.get("/v1/models/large-2", headers=CALLER)).status_code == 403
    body = {"model": "small-2", "input": "hello", "background": True}
    answer = await proxy.http.post("/v1/responses", json=body, headers=CALLER)
    assert answer.status_code == 200, answer.text
    assert len(proxy.kubernetes.names(RUNS)) == 1


@pytest.mark.parametrize("era", ERAS)
async def test_the_tools_of_mcp_refuse_what_the_instance_may_not_ask(proxy: Proxy, era: str) -> None:
    await bound(proxy, AGENT, {"models": {"deny": ["*:small"]}})
    async with connected(proxy.url, KEY, era) as client:
        result = await client.call_tool("ask_agent", {"task": "Say hello"})
    assert result.is_error
    assert "p0 (models.deny)" in str(result.content)
    assert proxy.kubernetes.names(RUNS) == []

"""Sampling parameters of an instance, and its ceiling of an answer's tokens: for each kind of request."""

import json
from typing import Any

import pytest
from tests.fakes.agents import Agents
from tests.fakes.model import Model
from tests.integration.conftest import KEY, Proxy, eventually
from tests.integration.test_mcp import called, said
from tests.mcp_clients import ERAS, connected

from sympozium_api import names
from sympozium_api.resources import RUNS

MESSAGES: Any = [{"role": "user", "content": "hello"}]
IGNORED = "x-sympozium-ignored"


async def _sent(proxy: Proxy, path: str = "chat/completions", **fields: Any) -> tuple[dict[str, Any], str | None]:
    """Return what the model was sent for a request, and what the answer names as ignored."""
    question = {
        "chat/completions": {"messages": MESSAGES},
        "completions": {"prompt": "hi"},
        "responses": {"input": "hi"},
    }
    body = question[path] | fields
    answer = await proxy.http.post(f"/v1/{path}", json=body, headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code == 200, answer.text
    whole = answer.json()
    text = {
        "chat/completions": lambda: whole["choices"][0]["message"]["content"],
        "completions": lambda: whole["choices"][0]["text"],
        "responses": lambda: whole["output"][0]["content"][0]["text"],
    }[path]()
    return json.loads(text)["body"], answer.headers.get(IGNORED)


async def test_an_instances_parameters_are_sent_where_the_caller_sends_none(
    proxy: Proxy, model: Model, agents: Agents
) -> None:
    params = {"temperature": 0.2, "top_p": 0.5, "max_tokens": 50, "stop": ["END"], "verbosity": "low"}
    await proxy.use_model(model, "echo", agent={"params": params})

    body, ignored = await _sent(proxy, temperature=1.5, top_p=None)

    assert {name: body.get(name) for name in params} == params | {"temperature": 1.5}
    assert ignored is None


async def test_what_a_caller_sends_keeps_its_text(proxy: Proxy, model: Model, agents: Agents) -> None:
    await proxy.use_model(model, "echo", agent={"params": {"presence_penalty": 1, "seed": 7}, "maxTokens": 100})
    content = '{"temperature":1e0,"messages":[{"role":"user","content":"hi"}],"x":{"b":1.0,"a":2}}'
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    await proxy.http.post("/v1/chat/completions", content=content, headers=headers)
    assert model.last["body"].startswith('{"temperature":1e0,"x":{"b":1.0,"a":2},"presence_penalty":1.0,"seed":7,')


@pytest.mark.parametrize(
    ("path", "asked", "sent", "ignored"),
    [
        ("chat/completions", {}, {"max_tokens": 100}, None),
        ("chat/completions", {"max_tokens": 7}, {"max_tokens": 7}, None),
        ("chat/completions", {"max_tokens": 5000}, {"max_tokens": 100}, "max_tokens"),
        ("chat/completions", {"max_completion_tokens": 7}, {"max_tokens": 7, "max_completion_tokens": 7}, None),
        (
            "chat/completions",
            {"max_completion_tokens": 5000, "stream_options": {"chunk_size": 1}},
            {"max_tokens": 100, "max_completion_tokens": 100},
            "stream_options.chunk_size, max_completion_tokens",
        ),
        ("completions", {}, {"max_tokens": 100}, None),
        ("completions", {"max_tokens": 5000}, {"max_tokens": 100}, "max_tokens"),
        ("responses", {}, {"max_tokens": 100}, None),
        (
            "responses",
            {"max_output_tokens": 5000},
            {"max_tokens": 100, "max_completion_tokens": 100},
            "max_output_tokens",
        ),
    ],
)
async def test_no_request_is_sent_above_the_ceiling(
    proxy: Proxy,
    model: Model,
    agents: Agents,
    path: str,
    asked: dict[str, Any],
    sent: dict[str, Any],
    ignored: str | None,
) -> None:
    await proxy.use_model(model, "echo", agent={"maxTokens": 100})
    body, named = await _sent(proxy, path, **asked)
    assert {name: value for name, value in body.items() if name.startswith("max_")} == sent
    assert named == ignored


async def test_a_call_over_mcp_gets_the_parameters_and_the_ceiling(proxy: Proxy, model: Model, agents: Agents) -> None:
    await proxy.use_model(model, "echo", agent={"params": {"temperature": 0}, "maxTokens": 100})
    async with connected(proxy.url, KEY, ERAS[-1]) as client:
        result = await called(client, "ask_agent", task="hello")
    body = json.loads(said(result))["body"]
    assert (body["temperature"], body["max_tokens"]) == (0, 100)


@pytest.mark.parametrize("asked", [-1, "5000", 1e9, True])
async def test_a_run_made_by_kubectl_gets_no_more_than_the_ceiling(
    proxy: Proxy, model: Model, agents: Agents, asked: Any
) -> None:
    await proxy.use_model(model, "echo", agent={"params": {"temperature": 0}, "maxTokens": 100})
    spec = {"agentRef": "demo", "mode": "task", "request": {"messages": MESSAGES, "max_tokens": asked}}
    proxy.kubernetes.put(
        {
            "apiVersion": names.API_VERSION,
            "kind": "AgentRun",
            "metadata": {"name": "by-hand", "namespace": "default", "labels": names.labels("run", instance="demo")},
            "spec": spec,
        }
    )
    await eventually(lambda: proxy.kubernetes.object(RUNS, "by-hand").get("status", {}).get("phase") == "Succeeded")
    body = json.loads(proxy.kubernetes.object(RUNS, "by-hand")["status"]["result"])["body"]
    assert (body["temperature"], body["max_tokens"]) == (0, 100)


async def test_a_change_of_the_parameters_leaves_the_idempotency_key_its_run(
    proxy: Proxy, model: Model, agents: Agents
) -> None:
    await proxy.use_model(model, "echo", agent={"params": {"temperature": 0}})
    first = await proxy.chat(headers={"Idempotency-Key": "one"})
    await proxy.use_model(model, "instant", agent={"params": {"temperature": 2}})
    again = await proxy.chat(headers={"Idempotency-Key": "one"})
    assert again.json()["choices"] == first.json()["choices"]

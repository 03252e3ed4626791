"""POST /v1/completions: a prompt continued by a run."""

import json
from typing import Any

import openai
import pytest
from tests.fakes.agents import PROVIDER_KEY, Agents
from tests.fakes.model import DETAILS, RICH_USAGE, TOKENS, Model
from tests.integration.conftest import KEY, Proxy, eventually

from sympozium_api import names
from sympozium_api.resources import RUNS

TEXT = "".join(TOKENS)


async def test_a_prompt_reaches_the_models_own_completions_and_is_continued(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI
) -> None:
    await proxy.use_model(model, "rich")
    raw = await sdk.completions.with_raw_response.create(
        model="default", prompt=["One", "Two"], suffix="!", max_tokens=0, logprobs=2, extra_body={"top_k": 4}
    )
    answer = raw.parse()
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == (TEXT, "stop")
    assert answer.choices[0].logprobs is not None
    assert answer.choices[0].logprobs.tokens == list(TOKENS)
    assert answer.id == f"cmpl-{raw.headers['x-sympozium-run']}"
    assert (answer.object, answer.model, answer.system_fingerprint) == (
        "text_completion",
        "rich",
        DETAILS["system_fingerprint"],
    )
    assert answer.usage is not None
    assert answer.usage.model_dump(exclude_none=True) == RICH_USAGE
    assert model.last["path"] == "/v1/completions"
    assert model.last["headers"]["authorization"] == f"Bearer {PROVIDER_KEY}"
    seen = json.loads(model.last["body"])
    assert (seen["prompt"], seen["suffix"], seen["top_k"], seen["max_tokens"]) == (["One", "Two"], "!", 4, 0)


@pytest.mark.usefixtures("agents")
async def test_a_completion_is_streamed_in_pieces(sdk: openai.AsyncOpenAI) -> None:
    texts, reasons, kinds = {0: "", 1: ""}, [], set()
    async for chunk in await sdk.completions.create(model="default", prompt="One", n=2, stream=True):
        kinds.add(chunk.object)
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            reasons += [choice.finish_reason] if choice.finish_reason else []
    assert (texts, reasons, kinds) == ({0: TEXT, 1: TEXT}, ["stop", "stop"], {"text_completion"})


async def test_a_server_that_does_not_stream_is_understood(
    proxy: Proxy, model: Model, agents: Agents, sdk: openai.AsyncOpenAI
) -> None:
    await proxy.use_model(model, "plain")
    assert (await sdk.completions.create(model="default", prompt="One")).choices[0].text == TEXT


@pytest.mark.usefixtures("agents")
async def test_a_repeated_completion_is_answered_from_its_run(proxy: Proxy) -> None:
    async def asked() -> Any:
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "k"}
        return (await proxy.http.post("/v1/completions", json={"prompt": "One"}, headers=headers)).json()

    first, again = await asked(), await asked()
    assert again["choices"] == first["choices"]
    assert len(proxy.kubernetes.names(RUNS)) == 1


async def test_an_instance_with_a_system_prompt_continues_none(
    proxy: Proxy, model: Model, sdk: openai.AsyncOpenAI
) -> None:
    """It would have to be left out."""
    await proxy.use_model(model, "instant", memory={"systemPrompt": "You are a test."})
    with pytest.raises(openai.BadRequestError, match="system prompt") as refused:
        await sdk.completions.create(model="default", prompt="One")
    assert refused.value.code == "unsupported_parameter"


async def test_a_run_created_with_kubectl_gets_the_same_refusal(proxy: Proxy, model: Model, agents: Agents) -> None:
    await proxy.use_model(model, "instant", memory={"systemPrompt": "You are a test."})
    spec = {"agentRef": "demo", "mode": "task", "request": {"prompt": "One"}}
    run = {"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": {"name": "mine"}, "spec": spec}
    proxy.kubernetes.put(run)
    await eventually(lambda: proxy.kubernetes.object(RUNS, "mine").get("status", {}).get("phase") == "Failed")
    error = proxy.kubernetes.object(RUNS, "mine")["status"]["error"]
    assert (error["type"], error["httpStatus"]) == ("unsupported_parameter", 400)
    assert "system prompt" in error["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": "One", "messages": []}, "messages"),
        ({"prompt": "One", "max_tokens": -1}, "max_tokens"),
        ({"prompt": "One", "n": 0}, "n"),
    ],
)
async def test_a_wrong_field_is_named(proxy: Proxy, body: dict[str, Any], param: str) -> None:
    response = await proxy.http.post("/v1/completions", json=body, headers={"Authorization": f"Bearer {KEY}"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param

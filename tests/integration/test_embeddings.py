"""POST /v1/embeddings: passed through to the model server, without a run."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from tests.fakes.model import Model
from tests.fakes.odd_model import HEADER, odd_serving
from tests.fakes.odd_model import KEY as QUOTED_KEY
from tests.integration.conftest import KEY, Proxy, eventually, instance, put_document

from sympozium_api.agent_document import AgentDocument
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import RUNS

MODELS = ["embed", "status:429", "status:401", "hang"]


@pytest.fixture
async def offered(proxy: Proxy, model: Model) -> Model:
    """The instance offers embeddings, and its web-proxy has the model's key."""
    (proxy.keys / "provider-key").write_text("sk-provider\n")
    proxy.context.settings = replace(proxy.context.settings, provider_keys=(proxy.keys / "provider-key",))
    await proxy.use_model(model, "instant", agent={"embeddingModels": MODELS, "providerHeaders": {"X-Team": "blue"}})
    return model


async def embed(proxy: Proxy, headers: dict[str, str] | None = None, **fields: Any) -> httpx2.Response:
    own = {"Authorization": f"Bearer {KEY}"} | (headers or {})
    return await proxy.http.post("/v1/embeddings", json={"input": "One"} | fields, headers=own)


async def test_texts_become_vectors_without_a_run(proxy: Proxy, offered: Model, sdk: openai.AsyncOpenAI) -> None:
    raw = await sdk.embeddings.with_raw_response.create(model="embed", input=["One", "Three"], dimensions=2)
    answer = raw.parse()
    assert [item.embedding for item in answer.data] == [[3.0, 1.0], [5.0, 1.0]]
    assert (answer.model, answer.usage.total_tokens) == ("embed", 2)
    assert proxy.kubernetes.names(RUNS) == []
    assert offered.last["path"] == "/v1/embeddings"
    assert (offered.last["headers"]["authorization"], offered.last["headers"]["x-team"]) == (
        "Bearer sk-provider",
        "blue",
    )
    assert json.loads(offered.last["body"]) == {
        "input": ["One", "Three"],
        "model": "embed",
        "dimensions": 2,
        "encoding_format": "base64",  # what the SDK asks for by itself
    }
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert {"x-request-id", "x-ratelimit-remaining-requests"} <= raw.headers.keys()


async def of_provider(proxy: Proxy, model: Model, **fields: Any) -> ResolvedModel:
    """Give the instance a model of a Provider, as the operator does."""
    known: dict[str, Any] = {"ref": "cloud", "name": "instant", "title": "cloud:instant", "baseUrl": model.url}
    known |= {"headers": {"X-Team": "blue", "X-Org": "o"}, "secret": "key", "headersSecret": "more"} | fields
    resolved = ResolvedModel.model_validate(known)
    digest = put_document(proxy.kubernetes, AgentDocument(models=[resolved]))
    agent = {"model": "instant", "providerRef": "cloud", "embeddingModels": MODELS}
    proxy.kubernetes.put(instance(agents={"default": agent}) | {"status": {"agentDocument": digest}})
    await eventually(lambda: proxy.context.instance_cache.served().instance.status.agent_document == digest)
    return resolved


async def test_a_providers_embeddings_have_its_address_key_and_headers(
    proxy: Proxy, model: Model, tmp_path: Path
) -> None:
    keys, headers = tmp_path / "keys", tmp_path / "headers"
    proxy.context.settings = replace(proxy.context.settings, provider_folder=keys, header_folder=headers)
    folder = (await of_provider(proxy, model)).folder or ""
    for place in (keys, headers):
        (place / folder).mkdir(parents=True)
    (keys / folder / "key-1").write_text("sk-cloud\n")
    (headers / folder / "x-org").write_text("secret-org\n")
    assert (await embed(proxy, model="embed")).status_code == 200
    sent = model.last["headers"]
    assert [sent[name] for name in ("authorization", "x-team", "x-org")] == ["Bearer sk-cloud", "blue", "secret-org"]
    (keys / folder / "key-1").write_bytes(b"\xff\n\n")  # no text: nobody but a guard has looked at the entry
    refused = await embed(proxy, model="embed")
    assert refused.status_code == 502, refused.text
    assert model.last["headers"] == sent


@pytest.mark.parametrize("kind", ["anthropic_native", "gemini_native", "azure_openai"])
async def test_a_provider_without_embeddings_in_openais_dialect_is_a_400_that_names_it(
    proxy: Proxy, model: Model, kind: str
) -> None:
    await of_provider(proxy, model, provider=kind)
    refused = await embed(proxy, model="embed")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")
    assert kind in refused.json()["error"]["message"]


async def test_a_provider_that_is_not_resolved_yet_is_a_503(proxy: Proxy) -> None:
    agent = {"model": "instant", "providerRef": "cloud", "embeddingModels": MODELS}
    proxy.kubernetes.put(instance(agents={"default": agent}))
    await eventually(lambda: proxy.context.instance_cache.served().instance.spec.agents.default.provider_ref == "cloud")
    refused = await embed(proxy, model="embed")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_not_ready")


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize("value", ["One", ["One"], [1, 2], [[1, 2], [3]]])
async def test_every_form_of_input_is_forwarded(proxy: Proxy, value: Any) -> None:
    response = await embed(proxy, input=value, model="default")
    assert response.status_code == 200
    assert response.json()["model"] == "embed"


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize("body", [{"input": None}, {"input": []}, {"input": [None]}, {"input": {"a": 1}}])
async def test_another_input_is_refused_by_name(proxy: Proxy, body: dict[str, Any]) -> None:
    response = await embed(proxy, **body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "input")


async def test_an_instance_that_names_no_embedding_models_has_none(proxy: Proxy) -> None:
    response = await embed(proxy)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")


@pytest.mark.usefixtures("offered")
async def test_another_model_is_not_found(proxy: Proxy, sdk: openai.AsyncOpenAI) -> None:
    assert (await embed(proxy, model="instant")).json()["error"]["code"] == "model_not_found"
    assert [found.id async for found in await sdk.models.list()] == ["instant", "demo", "default", *MODELS]


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(("name", "status"), [("status:429", 429), ("status:401", 502)])
async def test_a_refusal_of_the_model_server_is_answered_like_that_of_a_run(
    proxy: Proxy, name: str, status: int
) -> None:
    response = await embed(proxy, model=name)
    assert (response.status_code, response.headers["x-sympozium-error"]) == (status, "model_error")
    assert response.json()["error"]["code"] == ("429" if status == 429 else "model_error")
    assert "the model says" in response.json()["error"]["message"]


async def test_a_refusal_that_quotes_the_instances_secrets_is_redacted(proxy: Proxy, offered: Model) -> None:
    proxy.context.settings.provider_keys[0].write_text(QUOTED_KEY)
    async with odd_serving() as odd:
        headers = {"X-Key": HEADER, "X-Team": "of"}
        agent = {"baseURL": odd.url, "embeddingModels": ["quoting"], "providerHeaders": headers}
        await proxy.use_model(offered, "secretive", agent=agent)
        response = await embed(proxy, model="quoting")
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "no account for [key] of [key]",
        "type": "refused_[key]",
        "param": "headers.[key]",
        "code": "unknown:[key]",
    }


async def test_an_unreachable_model_server_is_a_502(proxy: Proxy, offered: Model) -> None:
    agent = {"embeddingModels": ["embed"], "baseURL": "http://127.0.0.1:9/v1"}
    await proxy.use_model(offered, "gone", agent=agent)
    response = await embed(proxy)
    assert response.status_code == 502
    assert response.json()["error"]["message"].startswith("The model cannot be reached (")
    assert "127.0.0.1" not in response.text  # the address is the instance's business


@pytest.mark.parametrize(
    ("base", "way"),
    [
        ("http://user:s3cr3t-password@127.0.0.1:9/v1?key=s3cr3t-query", {}),
        (
            "https://user:s3cr3t-password@model.test/v1?key=s3cr3t-query",
            {"HTTPS_PROXY": "http://user:s3cr3t-way@{proxy}"},
        ),
        ("https://model.test/v1?key=s3cr3t-query", {"HTTPS_PROXY": "http://user:s3cr3t-way@:99999/s3cr3t"}),
        ("https://model.test/v1?key=s3cr3t-query", {"HTTPS_PROXY": "ftp://user:s3cr3t-way@127.0.0.1"}),
    ],
)
async def test_an_unreachable_model_servers_address_tells_no_secret(
    proxy: Proxy, offered: Model, base: str, way: dict[str, str]
) -> None:
    """The scripted model refuses a tunnel with 404, as a proxy might with 407."""
    env = {name: value.format(proxy=offered.url.split("/")[2]) for name, value in way.items()}
    await proxy.use_model(offered, "gone", agent={"embeddingModels": ["embed"], "baseURL": base, "env": env})
    response = await embed(proxy)
    assert response.status_code == 502
    assert response.json()["error"]["message"].startswith("The model cannot be reached (")
    assert "127.0.0.1" not in response.text  # the address is the instance's business
    assert "s3cr3t" not in response.text


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(proxy: Proxy, offered: Model) -> None:
    await proxy.use_model(offered, "broken", agent={"embeddingModels": ["cut"]})
    with pytest.raises(httpx2.RemoteProtocolError):
        await embed(proxy)


async def test_a_proxy_in_the_agents_environment_is_used(proxy: Proxy, offered: Model) -> None:
    """The scripted model takes the absolute URLs that a proxy is sent."""
    way = {"HTTP_PROXY": offered.url.removesuffix("/v1"), "NO_PROXY": "other.example"}
    agent = {"embeddingModels": ["embed"], "baseURL": "http://nowhere.invalid/v1", "env": way}
    await proxy.use_model(offered, "far", agent=agent)
    assert (await embed(proxy)).status_code == 200
    assert offered.last["headers"]["host"] == "nowhere.invalid"


@pytest.mark.usefixtures("offered")
async def test_the_callers_deadline_holds(proxy: Proxy) -> None:
    response = await embed(proxy, {"x-request-timeout": "0.2"}, model="hang")
    assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")


async def test_a_caller_that_leaves_ends_the_call(proxy: Proxy, offered: Model) -> None:
    asked = asyncio.create_task(embed(proxy, model="hang"))
    await eventually(lambda: offered.last.get("path") == "/v1/embeddings")
    asked.cancel()
    await eventually(lambda: offered.counts.abandoned == 1)


@pytest.mark.usefixtures("offered")
async def test_keys_limits_and_metrics_are_those_of_every_route(proxy: Proxy) -> None:
    assert (await embed(proxy, {"Authorization": "Bearer wrong"})).status_code == 401
    assert (await embed(proxy)).status_code == 200
    taken = 0  # a hundred at once: no run is made, and the queue of runs does not count
    while (response := await embed(proxy)).status_code == 200:
        taken += 1
    assert (taken, response.status_code) == (99, 429)
    assert 'route="/v1/embeddings",status="200"} 100.0' in await proxy.metrics()


async def test_a_model_that_closes_the_connection_after_it_was_asked_is_not_asked_again(
    proxy: Proxy, offered: Model
) -> None:
    asked = 0

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        offered.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        await proxy.use_model(offered, "another", agent={"embeddingModels": MODELS})
        response = await embed(proxy, model="embed")
    assert (response.status_code, asked) == (502, 1)

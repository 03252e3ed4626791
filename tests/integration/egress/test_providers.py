"""The egress guard tries Providers, each in its dialect, and says nothing secret of them."""

import asyncio
import base64
import json
from typing import Any

import httpx2
import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response
from tests.fakes.webhook import PUBLIC, Received
from tests.integration.egress.conftest import Guard
from tests.unit.api.policies import policy_manifest
from tests.unit.api.test_providers import provider_manifest

from sympozium_api import names
from sympozium_api.client import ApiError
from sympozium_api.resources import SECRETS
from sympozium_egress import provider_verifier

KEY = "sk-secret-0123456789"
HOST = "llm.example.com"
BASES = {
    "openai_compat": f"http://{HOST}/v1",
    "anthropic_native": f"http://{HOST}/v1",
    "gemini_native": f"http://{HOST}/v1beta",
    "azure_openai": f"http://{HOST}",
    "groq": f"http://{HOST}/openai/v1",
    "ollama": f"http://{HOST}",
}
OPENAI: dict[str, Any] = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}
ANTHROPIC: dict[str, Any] = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi"}]}
GEMINI: dict[str, Any] = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}}]}
DIALECTS: list[Any] = [
    ("openai_compat", "/v1/chat/completions", ("authorization", f"Bearer {KEY}"), OPENAI),
    ("groq", "/openai/v1/chat/completions", ("authorization", f"Bearer {KEY}"), OPENAI),
    ("ollama", "/v1/chat/completions", ("authorization", f"Bearer {KEY}"), OPENAI),
    ("anthropic_native", "/v1/messages", ("x-api-key", KEY), ANTHROPIC),
    ("gemini_native", "/v1beta/models/m-1:generateContent", ("x-goog-api-key", KEY), GEMINI),
    ("azure_openai", "/openai/deployments/m-1/chat/completions", ("api-key", KEY), OPENAI),
]


def put_provider(guard: Guard, kind: str = "openai_compat", **spec: Any) -> None:
    guard.world.addresses.setdefault(HOST, [PUBLIC])
    guard.kubernetes.put(
        provider_manifest("llm", **({"type": kind, "apiBase": BASES[kind], "secretRef": "key"} | spec))
    )


def put_secret(
    guard: Guard, name: str = "key", entries: dict[str, str] | None = None, *, labelled: bool = True
) -> None:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in (entries or {"api-key": KEY}).items()}
    labels = {names.LABEL_MODEL_KEY: "true"} if labelled else {}
    metadata = {"name": name, "namespace": "default", "labels": labels}
    guard.kubernetes.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def answers(guard: Guard, body: Any, status: int = 200) -> None:
    async def script(_: Received) -> Response:
        return JSONResponse(body, status) if not isinstance(body, str) else HTMLResponse(body, status)

    guard.world.script = script


def answers_raw(guard: Guard, body: bytes, status: int) -> None:
    async def script(_: Received) -> Response:
        return Response(body, status, media_type="application/json")

    guard.world.script = script


async def ask(
    guard: Guard,
    path: str = "llm/verify",
    body: Any = None,
    *,
    account: str = "sympozium-operator",
    namespace: str = "sympozium-system",
    **claims: Any,
) -> httpx2.Response:
    bound = {"namespace": namespace, "pod": {"name": "p"}, "serviceaccount": {"name": account}}
    token = guard.issuer.token("p", account, **({"aud": [names.EGRESS_AUDIENCE], "kubernetes.io": bound} | claims))
    method = "POST" if path.endswith("verify") else "GET"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    content = body if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
    return await guard.http.request(method, f"/providers/default/{path}", content=content, headers=headers)


async def verdict(guard: Guard, **body: Any) -> dict[str, Any]:
    answer = await ask(guard, body={"model": "m-1"} | body)
    assert answer.status_code == 200, answer.text
    assert KEY not in answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(("kind", "path", "header", "completion"), DIALECTS)
async def test_each_dialect_is_tried_with_one_token_and_its_own_key(
    guard: Guard, kind: str, path: str, header: tuple[str, str], completion: dict[str, Any]
) -> None:
    put_secret(guard)
    put_provider(guard, kind, headers={"X-Team": "a"})
    answers(guard, completion)
    assert await verdict(guard) == {"valid": True, "reason": "Answered", "model": "m-1"}
    [received] = guard.world.received
    assert (received.path, received.headers[header[0]], received.headers["x-team"]) == (path, header[1], "a")
    sent = json.dumps(received.arguments)
    assert [name for name in ("max_tokens", "max_completion_tokens", "maxOutputTokens") if f'"{name}": 1' in sent]


async def test_the_name_of_a_service_is_looked_up_in_the_providers_namespace(guard: Guard) -> None:
    put_secret(guard)
    guard.world.addresses["models.default.svc"] = [PUBLIC]
    put_provider(guard, apiBase="http://models:8000/v1")
    answers(guard, OPENAI)
    assert (await verdict(guard))["valid"]
    assert guard.world.received[0].host == "models.default.svc:8000"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"error": {"message": f"Incorrect API key provided: {KEY}."}}, 401, "ModelRefused"),
        ({"error": {"message": f"{'x' * 390}{KEY}"}}, 401, "ModelRefused"),
        ({"error": {"message": "overloaded"}}, 529, "ModelRefused"),
        ("<html>Sign in</html>", 200, "NoCompletion"),
        ({"choices": []}, 200, "NoCompletion"),
        ({"error": {"message": f"no such key {KEY}"}}, 200, "NoCompletion"),
        ([], 200, "NoCompletion"),
    ],
)
async def test_an_answer_that_is_no_completion_is_not_valid_and_never_shows_the_key(
    guard: Guard, body: Any, status: int, reason: str
) -> None:
    put_secret(guard)
    put_provider(guard)
    answers(guard, body, status)
    found = await verdict(guard)
    assert (found["valid"], found["reason"]) == (False, reason)
    assert str(status) in found["error"]
    assert KEY[:8] not in found["error"]


@pytest.mark.parametrize(("path", "status"), [("llm/verify", 200), ("llm/models", 502)])
async def test_half_a_character_in_an_error_is_told_all_the_same(guard: Guard, path: str, status: int) -> None:
    put_secret(guard)
    put_provider(guard)
    answers_raw(guard, b'{"error": {"message": "no \\ud800 model"}}', 404)
    found = await ask(guard, path, {"model": "m-1"})
    assert found.status_code == status
    assert "no ? model" in found.json()["error"]


async def test_half_a_character_in_a_models_name_is_none(guard: Guard) -> None:
    put_secret(guard)
    put_provider(guard, "gemini_native")
    answers_raw(guard, b'{"models": [{"name": "models/\\ud800"}]}', 200)
    assert (await ask(guard, "llm/models")).json() == {"models": ["?"]}
    assert (await ask(guard, "llm/verify")).json()["reason"] == "NoCompletion"
    assert (await ask(guard, "llm/verify", '{"model": "\\ud800"}')).status_code == 400


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "127.0.0.1", "10.96.0.1", "10.0.0.7", "fe80::1", "fd00:ec2::254"]
)
async def test_no_key_is_sent_to_an_address_that_is_closed(guard: Guard, address: str) -> None:
    put_secret(guard)
    guard.world.addresses[HOST] = [address]
    put_provider(guard)
    assert (await verdict(guard))["reason"] == "AddressNotAllowed"
    assert guard.world.received == []


@pytest.mark.parametrize("namespace", ["default", "sympozium-system"])
async def test_no_key_is_sent_to_a_host_that_no_instance_of_the_namespace_may_call(
    guard: Guard, namespace: str
) -> None:
    put_secret(guard)
    put_provider(guard)
    binds: dict[str, Any] = {"appliesTo": "all"} if namespace == "default" else {"namespaceSelector": {}}
    guard.kubernetes.put(policy_manifest("bounds", namespace, **binds, egressHosts={"deny": [HOST]}))
    found = await verdict(guard)
    assert (found["valid"], found["reason"]) == (False, "AddressNotAllowed")
    assert "bounds (egressHosts.deny)" in found["error"]
    assert guard.world.received == []


async def test_a_redirect_to_another_host_gets_no_key(guard: Guard) -> None:
    async def script(_: Received) -> Response:
        return Response(status_code=307, headers={"location": "http://evil.example.com/v1/chat/completions"})

    put_secret(guard)
    put_provider(guard)
    guard.world.addresses["evil.example.com"] = [PUBLIC]
    guard.world.script = script
    assert (await verdict(guard))["reason"] == "Redirected"
    assert [received.headers["host"] for received in guard.world.received] == [HOST]


async def test_what_is_wrong_with_a_provider_is_named(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    put_provider(guard)
    assert (await verdict(guard))["error"] == "spec.secretRef: there is no Secret key"
    put_secret(guard, "bare", labelled=False)
    put_provider(guard, secretRef="bare")
    assert (await verdict(guard))["reason"] == "SecretNotLabelled"
    put_secret(guard, "other", {"GROQ_API_KEY": KEY})
    put_provider(guard, secretRef="other")
    assert (await verdict(guard))["reason"] == "SecretKeyNotFound"
    put_secret(guard)
    put_provider(guard)
    guard.kubernetes.refuse("get", SECRETS, ApiError(403, {}))
    assert (await verdict(guard))["reason"] == "SecretNotReadable"
    guard.world.down.add(HOST)
    assert (await verdict(guard))["reason"] == "ConnectionFailed"
    del guard.world.addresses[HOST]
    assert (await verdict(guard))["reason"] == "NameNotFound"
    put_provider(guard)
    guard.world.down.clear()
    never = asyncio.Event()

    async def silent(_: Received) -> Response:
        await never.wait()
        return Response()

    guard.world.script = silent
    monkeypatch.setattr(provider_verifier, "SECONDS", 0.2)
    assert (await verdict(guard))["reason"] == "Timeout"
    never.set()


async def test_headers_of_a_secret_replace_those_of_the_spec(guard: Guard) -> None:
    put_secret(guard, "headers", {"X-Team": "secret-team", "X-Org": "secret-org"})
    put_provider(guard, secretRef=None, headers={"x-team": "a", "x-region": "eu"}, headersSecretRef="headers")
    answers(guard, OPENAI)
    assert (await verdict(guard))["valid"]
    [received] = guard.world.received
    sent = [received.headers[name] for name in ("x-team", "x-org", "x-region")]
    assert sent == ["secret-team", "secret-org", "eu"]
    assert "authorization" not in received.headers


async def test_without_a_model_the_first_of_the_list_that_chats_is_tried(guard: Guard) -> None:
    async def script(received: Received) -> Response:
        if received.method == "GET":
            return JSONResponse({"data": [{"id": "text-embedding-3"}, {"id": "gpt-x"}]})
        return JSONResponse(OPENAI)

    put_secret(guard)
    put_provider(guard)
    guard.world.script = script
    answer = await ask(guard)
    assert answer.json() == {"valid": True, "reason": "Answered", "model": "gpt-x"}


@pytest.mark.parametrize(
    ("kind", "body", "models"),
    [
        ("openai_compat", {"data": [{"id": "a"}, {"id": "b"}]}, ["a", "b"]),
        ("anthropic_native", {"data": [{"id": "claude-x"}]}, ["claude-x"]),
        (
            "gemini_native",
            {
                "models": [
                    {"name": "models/gemini-x", "supportedGenerationMethods": ["generateContent"]},
                    {"name": "models/embedding-x", "supportedGenerationMethods": ["embedContent"]},
                ]
            },
            ["gemini-x"],
        ),
    ],
)
async def test_models_are_the_vendors_own_list(guard: Guard, kind: str, body: Any, models: list[str]) -> None:
    put_secret(guard)
    put_provider(guard, kind)
    answers(guard, body)
    answer = await ask(guard, "llm/models", account="sympozium-console")
    assert (answer.status_code, answer.json()) == (200, {"models": models})


async def test_a_list_that_fails_is_a_502_with_the_reason(guard: Guard) -> None:
    put_secret(guard)
    put_provider(guard)
    answers(guard, {"error": {"message": f"bad key {KEY}"}}, 401)
    answer = await ask(guard, "llm/models")
    assert (answer.status_code, answer.json()) == (502, {"error": "it answered 401: bad key [redacted]"})


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"account": "sympozium-runs"}, 401),
        ({"namespace": "default"}, 401),
        ({"aud": [names.RUNS_AUDIENCE]}, 401),
        ({}, 404),
    ],
)
async def test_only_operator_and_console_may_ask(guard: Guard, claims: dict[str, Any], status: int) -> None:
    assert (await ask(guard, "nothing/verify", **claims)).status_code == status
    assert (await ask(guard, "nothing/models", **claims)).status_code == status
    assert (await guard.http.post("/providers/default/llm/verify")).status_code == 401


@pytest.mark.parametrize("body", [{"model": ""}, {"model": 1}, [], {"model": "x" * 300}])
async def test_a_question_that_is_none_is_a_400(guard: Guard, body: Any) -> None:
    put_provider(guard)
    assert (await ask(guard, body=body)).status_code == 400

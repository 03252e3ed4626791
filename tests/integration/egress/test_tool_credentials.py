"""Credentials of webhooks: read last, kept as long as they hold, told to nobody."""

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response
from tests.fakes.webhook import PUBLIC, Received
from tests.integration.egress.conftest import KEY, Guard
from tests.unit.api.tools import HOST

from sympozium_api.resources import SECRETS, ResourceType

URL = f"http://{HOST}/v1/query"


async def test_the_secret_is_read_last_and_its_key_comes_back_redacted(guard: Guard) -> None:
    async def echo(request: Received) -> Response:
        return JSONResponse(request.headers)

    guard.world.script = echo
    guard.put_tool(webhook={"url": URL, "auth": "apiKey", "secretRef": "weather-key"})
    text, is_error = await guard.told()
    assert is_error
    assert "there is no Secret weather-key" in text
    guard.put_secret("weather-key", {"api-key": KEY}, labelled=False)
    assert "lacks the label" in (await guard.told())[0]
    assert not guard.world.received
    guard.put_secret("weather-key", {"api-key": KEY})
    text, is_error = await guard.told()
    assert not is_error
    assert guard.world.received[0].headers["x-api-key"] == KEY
    assert KEY not in text
    assert "[redacted]" in text
    guard.kubernetes.reads.clear()
    guard.world.addresses[HOST] = ["127.0.0.1"]
    await guard.told()
    assert not [read for read in guard.kubernetes.reads if read[1] == SECRETS.plural]


@pytest.mark.parametrize("entry", ["WEATHER", "SECRET_WEATHER"])
async def test_a_bindings_own_key_is_in_the_namespaces_secret(guard: Guard, entry: str) -> None:
    guard.put_tool(webhook={"url": URL, "auth": "apiKey"})
    guard.put_binding(secretKey="WEATHER")
    assert "there is no Secret tool-secrets" in (await guard.told())[0]
    guard.put_secret("tool-secrets", {"other": "x"}, labelled=False)
    assert "WEATHER" in (await guard.told())[0]
    guard.put_secret("tool-secrets", {entry: KEY}, labelled=False)
    assert not (await guard.told())[1]
    assert guard.world.received[-1].headers["x-api-key"] == KEY


async def test_an_access_token_is_fetched_once_and_again_when_the_tool_refuses_it(guard: Guard) -> None:
    tokens = 0
    refused = False

    async def script(request: Received) -> Response:
        nonlocal tokens
        if request.host == "auth.example.com":
            tokens += 1
            assert request.body == b"grant_type=client_credentials&scope=weather"
            assert request.headers["authorization"].startswith("Basic ")
            return JSONResponse({"access_token": f"token-{tokens}", "expires_in": 3600})
        return Response(status_code=401 if refused else 200, content=request.headers["authorization"])

    guard.world.script = script
    guard.world.addresses["auth.example.com"] = [PUBLIC]
    guard.put_tool(webhook={"url": URL, "auth": "oauth2", "secretRef": "weather-oauth"})
    entries = {"token_url": "http://auth.example.com/token", "client_id": "me", "client_secret": "s3cr3t-value"}
    guard.put_secret("weather-oauth", {"scope": "weather"} | entries)
    assert await guard.told() == ("Bearer [redacted]", False)
    await guard.told()
    assert tokens == 1
    refused = True
    await guard.told()
    refused = False
    await guard.told()
    assert tokens == 2
    assert guard.world.received[-1].headers["authorization"] == "Bearer token-2"


async def test_a_binding_brings_the_client_credentials_of_a_tool_without_a_secret(guard: Guard) -> None:
    async def script(request: Received) -> Response:
        if request.host == "auth.example.com":
            assert request.body == b"grant_type=client_credentials"
            return JSONResponse({"access_token": "token-of-the-binding"})
        return Response(status_code=200, content=request.headers["authorization"])

    guard.world.script = script
    guard.world.addresses["auth.example.com"] = [PUBLIC]
    guard.put_tool(webhook={"url": URL, "auth": "oauth2"})
    guard.put_binding(secretKey="CRM")
    guard.put_secret("tool-secrets", {"SECRET_CRM": "not JSON"}, labelled=False)
    text, is_error = await guard.told()
    assert (is_error, "no JSON object" in text, "not JSON" in text) == (True, True, False)
    assert not guard.world.received
    entry = {"token_url": "http://auth.example.com/token", "client_id": "me", "client_secret": "s3cr3t-value"}
    guard.put_secret("tool-secrets", {"SECRET_CRM": json.dumps(entry)}, labelled=False)
    assert await guard.told() == ("Bearer [redacted]", False)


@pytest.mark.parametrize("answer", [b"{", b"[]", b"{}", b'{"access_token":1}', b'{"access_token":"a\\nb"}'])
async def test_a_token_server_without_a_token_is_told_without_its_words(guard: Guard, answer: bytes) -> None:
    async def script(request: Received) -> Response:
        assert request.host == "auth.example.com"
        return Response(answer)

    guard.world.script = script
    guard.world.addresses["auth.example.com"] = [PUBLIC]
    guard.put_tool(webhook={"url": URL, "auth": "oauth2", "secretRef": "o"})
    guard.put_secret("o", {"token_url": "http://auth.example.com/", "client_id": "a", "client_secret": "b"})
    text, is_error = await guard.told()
    assert is_error
    assert "token server sent no access token" in text


async def test_a_service_token_has_the_hosts_name_as_its_audience(guard: Guard) -> None:
    asked: list[Any] = []

    async def create(kind: ResourceType, namespace: str, body: Any, **_: Any) -> Any:
        asked.append((kind.path(namespace), body["spec"]["audiences"]))
        return {"status": {"token": "account-token", "expirationTimestamp": "2999-01-01T00:00:00Z"}}

    guard.kubernetes.create = create  # type: ignore[method-assign]
    guard.put_tool(webhook={"url": URL, "auth": "service"})
    await guard.told()
    await guard.told()
    path = "/api/v1/namespaces/sympozium-system/serviceaccounts/sympozium-egress/token"
    assert asked == [(path, [HOST])]
    assert guard.world.received[0].headers["authorization"] == "Bearer account-token"


async def test_a_service_of_a_namespace_gets_a_token_for_its_whole_name(guard: Guard) -> None:
    """Else a Service named sympozium-console, or as an audience of the API server, would get a token that opens that."""
    audiences: list[str] = []

    async def create(kind: ResourceType, namespace: str, body: Any, **_: Any) -> Any:
        audiences.extend(body["spec"]["audiences"])
        return {"status": {"token": "account-token", "expirationTimestamp": "2999-01-01T00:00:00Z"}}

    guard.kubernetes.create = create  # type: ignore[method-assign]
    guard.put_tool(webhook={"url": "http://sympozium-console:8080/api/v1/runs", "auth": "service"})
    guard.put_binding(allowedDomains=["sympozium-console"])
    await guard.told()
    assert audiences == ["sympozium-console.default.svc"]

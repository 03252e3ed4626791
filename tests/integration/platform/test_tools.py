"""Tools of the agent platform API: made, listed, changed and deleted, those of kubectl too."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.tool_operator import reconcile_tools
from tests.integration.platform.conftest import NAMESPACE, OTHER_NAMESPACE, TENANT, Platform, error
from tests.unit.api.tools import tool_manifest

from sympozium_api.names import LABEL_ID
from sympozium_api.resources import TOOLS, Object

SCHEMA = {
    "type": "object",
    "properties": {"zone": {"type": "string"}, "city": {"type": "string"}},
    "required": ["city"],
}
WEATHER = {
    "name": "Wetter für Städte",
    "description": "Tells the weather.",
    "input_schema": SCHEMA,
    "execution_type": "http_webhook",
    "endpoint": "https://weather.example.com/v1/query",
    "auth_type": "api_key",
}
PAGE = {"name": "fetch_url", "input_schema": {"type": "object"}, "execution_type": "internal"}


def nested(levels: int) -> dict[str, Any]:
    """A schema with two levels of JSON for each of these."""
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.fixture(autouse=True)
async def operator(platform: Platform) -> AsyncIterator[None]:
    at_work = asyncio.create_task(reconcile_tools(platform.kubernetes, platform.clock))
    yield
    at_work.cancel()
    await asyncio.gather(at_work, return_exceptions=True)


async def made(platform: Platform, **changes: Any) -> dict[str, Any]:
    answer = await platform.request("POST", "/tools", json=WEATHER | changes)
    assert answer.status_code == 201, answer.text
    tool: dict[str, Any] = answer.json()
    return tool


def stored(platform: Platform, tool_id: str) -> Object:
    found = [platform.kubernetes.object(TOOLS, name, NAMESPACE) for name in platform.kubernetes.names(TOOLS)]
    return next(body for body in found if body["metadata"].get("labels", {}).get(LABEL_ID) == tool_id)


async def test_a_tool_is_a_tool_object_and_counts_when_it_is_answered(platform: Platform) -> None:
    tool = await made(platform)
    body = stored(platform, tool["id"])
    assert body["spec"] == {
        "title": "Wetter für Städte",
        "description": "Tells the weather.",
        "parametersText": json.dumps(SCHEMA, separators=(",", ":")),
        "webhook": {"url": WEATHER["endpoint"], "auth": "apiKey", "method": "POST"},
        "deprecated": False,
        "enabled": True,
        "timeoutSeconds": 60,
        "version": "1",
    }
    [condition] = body["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("InForce", "True")
    times = {field: tool.pop(field) for field in ("created_at", "updated_at")}
    assert times["created_at"] == times["updated_at"] == "2026-01-01T00:00:00Z"
    assert list(tool["input_schema"]["properties"]) == ["zone", "city"]
    assert tool == WEATHER | {"id": tool["id"], "tenant_id": TENANT, "status": "active", "version": 1}
    assert (await platform.request("GET", f"/tools/{tool['id']}")).json() == tool | times


async def test_a_tool_is_changed_field_by_field_and_never_in_id_or_tenant(platform: Platform) -> None:
    tool = await made(platform)
    platform.clock.advance(2)
    change = {"status": "deprecated", "version": 3, "id": str(uuid.uuid4()), "tenant_id": "x", "created_at": 1}
    answer = await platform.request("PUT", f"/tools/{tool['id']}", json=change)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed.pop("updated_at") > tool.pop("updated_at")
    assert changed == tool | {"status": "deprecated", "version": 3}
    no_key = {"auth_type": "none", "endpoint": "http://other.example.com/", "description": ""}
    after = (await platform.request("PUT", f"/tools/{tool['id']}", json=no_key)).json()
    assert {field: after[field] for field in no_key} == no_key
    internal = {"execution_type": "internal", "name": "fetch_url"}
    after = (await platform.request("PUT", f"/tools/{tool['id']}", json=internal)).json()
    assert (after["endpoint"], after["auth_type"], after["execution_type"]) == (None, "none", "internal")
    assert stored(platform, tool["id"])["spec"]["builtin"] == {"name": "fetch_url"}
    error(
        await platform.request("PUT", f"/tools/{tool['id']}", json={"execution_type": "http_webhook"}), 422, "endpoint"
    )
    assert (await platform.request("PUT", f"/tools/{tool['id']}", json={})).json() == after


async def test_a_secret_of_an_administrator_goes_to_no_other_server(platform: Platform) -> None:
    own = {"url": "https://a.example.com/v1", "auth": "apiKey", "secretRef": "own-key", "headers": {"x-team": "a"}}
    of_kubectl = tool_manifest("by-hand", webhook=own)
    uid = str(uuid.uuid4())
    of_kubectl["metadata"] |= {"namespace": NAMESPACE, "uid": uid}
    platform.kubernetes.put(of_kubectl)
    for endpoint, kept in (("https://a.example.com/v2", True), ("https://a.example.com:444/v2", False)):
        answer = await platform.request("PUT", f"/tools/{uid}", json={"endpoint": endpoint})
        assert answer.status_code == 200, answer.text
        webhook = stored(platform, uid)["spec"]["webhook"]
        assert (webhook["url"], "secretRef" in webhook, "x-team" in webhook.get("headers", {})) == (
            endpoint,
            kept,
            kept,
        )


async def test_an_internal_tool_need_not_be_there(platform: Platform) -> None:
    tool = await made(platform, **PAGE | {"name": "what the shop sells", "endpoint": None, "auth_type": "none"})
    assert (tool["execution_type"], tool["endpoint"]) == ("internal", None)
    assert stored(platform, tool["id"])["spec"]["builtin"] == {"name": "what the shop sells"}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"name": None}, "name"),
        ({"description": "d" * 4097}, "description"),
        ({"input_schema": None}, "input_schema"),
        ({"input_schema": {"type": "array"}}, "input_schema"),
        ({"input_schema": {"type": "object", "properties": []}}, "input_schema"),
        ({"input_schema": {"type": "object", "required": "city"}}, "input_schema"),
        ({"input_schema": {"type": "object", "$ref": "https://example.com/schema"}}, "input_schema"),
        ({"input_schema": {"properties": {"city-name": {}}}}, "input_schema"),
        ({"input_schema": {"properties": {"at": {"items": {"properties": {"1st": {}}}}}}}, "input_schema"),
        ({"input_schema": nested(65)}, "input_schema"),
        ({"input_schema": nested(400)}, "input_schema"),
        ({"execution_type": "command"}, "execution_type"),
        ({"execution_type": "internal", "auth_type": "none"}, "endpoint"),
        ({"execution_type": "internal", "endpoint": None}, "auth_type"),
        ({"endpoint": None}, "endpoint"),
        ({"endpoint": "ftp://example.com/"}, "endpoint"),
        ({"endpoint": "http://user@example.com/"}, "endpoint"),
        ({"endpoint": "http://example.com@evil.example/"}, "endpoint"),
        ({"endpoint": "https://"}, "endpoint"),
        ({"endpoint": "http://0x7f.1/"}, "endpoint"),
        ({"endpoint": "HTTP://example.com/"}, "endpoint"),
        ({"auth_type": "basic"}, "auth_type"),
        ({"status": "draft"}, "status"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
    ],
)
async def test_a_bad_field_is_named(platform: Platform, change: dict[str, Any], param: str) -> None:
    error(await platform.request("POST", "/tools", json=WEATHER | change), 422, param)
    assert platform.kubernetes.names(TOOLS) == []


@pytest.mark.parametrize("field", ["name", "input_schema", "execution_type"])
async def test_a_missing_field_is_named(platform: Platform, field: str) -> None:
    error(
        await platform.request("POST", "/tools", json={key: WEATHER[key] for key in WEATHER if key != field}),
        422,
        field,
    )


async def test_lists_are_newest_first_with_those_of_kubectl(platform: Platform) -> None:
    for number in range(3):
        platform.clock.advance(0.001)
        await made(platform, name=f"tool {number}")
    of_kubectl = tool_manifest(
        "by-hand", created="2020-01-01T00:00:00Z", version="2.1-beta", builtin={"name": "fetch_url"}
    )
    uid = str(uuid.uuid4())
    of_kubectl["metadata"] |= {"namespace": NAMESPACE, "uid": uid}
    platform.kubernetes.put(of_kubectl)
    for name, text in {"deep": json.dumps(nested(300)), "broken": "{{"}.items():
        odd = tool_manifest(name, created="2019-01-01T00:00:00Z", title=name, parametersText=text)
        odd["metadata"]["namespace"] = NAMESPACE
        platform.kubernetes.put(odd)
    answer = await platform.request("GET", "/tools")
    assert [tool["name"] for tool in answer.json()] == ["tool 2", "tool 1", "tool 0", "Weather", "deep", "broken"]
    assert answer.headers["x-total-count"] == "6"
    by_hand = answer.json()[3]
    assert [tool["input_schema"] for tool in answer.json()[4:]] == [{}, {}]
    assert (by_hand["id"], by_hand["execution_type"], by_hand["version"]) == (uid, "internal", "2.1-beta")
    assert by_hand["input_schema"]["required"] == ["url"]
    page = await platform.request("GET", "/tools", params={"limit": 2, "offset": 2})
    assert [tool["name"] for tool in page.json()] == ["tool 0", "Weather"]
    renamed = await platform.request("PUT", f"/tools/{uid}", json={"name": "Pages"})
    assert renamed.status_code == 200, renamed.text
    body = stored(platform, uid)  # a restore keeps the id from now on
    assert (body["metadata"]["name"], body["spec"]["builtin"]) == ("by-hand", {"name": "fetch_url"})
    for query, param in ({"limit": 0}, "limit"), ({"limit": 201}, "limit"), ({"offset": -1}, "offset"):
        error(await platform.request("GET", "/tools", params=query), 422, param)


async def test_a_page_of_very_many_tools_is_read_alone(platform: Platform) -> None:
    for number in range(205):
        body = tool_manifest(
            f"t-{number:03}", created=f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z", title=f"{number}"
        )
        body["metadata"]["namespace"] = NAMESPACE
        platform.kubernetes.put(body)
    answer = await platform.request("GET", "/tools", params={"limit": 3, "offset": 1})
    assert [tool["name"] for tool in answer.json()] == ["203", "202", "201"]
    assert answer.headers["x-total-count"] == "205"


async def test_a_deleted_tool_is_gone(platform: Platform) -> None:
    tool = await made(platform)
    path = f"/tools/{tool['id']}"
    assert (await platform.request("DELETE", path)).status_code == 204
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        error(await platform.request(method, path, json=body), 404)
    assert platform.kubernetes.names(TOOLS) == []


async def test_tools_of_others_are_not_there(platform: Platform) -> None:
    tool = await made(platform)
    other = await platform.token(namespace=OTHER_NAMESPACE)
    for method, body in (("GET", None), ("PUT", {"name": "mine"}), ("DELETE", None)):
        error(await platform.request(method, f"/tools/{tool['id']}", json=body, token=other), 404)
    assert (await platform.request("GET", "/tools", token=other)).json() == []
    reads = await platform.token("tools:read")
    error(await platform.request("POST", "/tools", json=WEATHER, token=reads), 403)
    assert (await platform.request("GET", "/tools", token=reads)).headers["x-total-count"] == "1"
    error(await platform.request("GET", "/tools/none"), 422, "tool_id")


async def test_a_repeated_request_gets_the_same_tool(platform: Platform) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = await platform.request("POST", "/tools", json=WEATHER, headers=key)
    again = await platform.request("POST", "/tools", json=WEATHER, headers=key)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    error(await platform.request("POST", "/tools", json=WEATHER | {"name": "b"}, headers=key), 422, "Idempotency-Key")
    assert len(platform.kubernetes.names(TOOLS)) == 1

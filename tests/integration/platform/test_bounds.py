"""Bounds of what a tenant may have, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.tool_operator import reconcile_tools
from tests.integration.platform.agent_calls import created, tried
from tests.integration.platform.conftest import OTHER_NAMESPACE, Platform, error, serving

from sympozium_archive.database import Database
from sympozium_domain.tenant_bounds import TenantBounds
from sympozium_platform.platform_settings import PlatformSettings

TOOL = {"input_schema": {"type": "object"}, "execution_type": "internal"}


@pytest.fixture
async def bounded(tmp_path: Path) -> AsyncIterator[Platform]:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    bounds = TenantBounds(agents=2, versions=2, tools=2, bindings=2)
    async with serving(tmp_path, database, PlatformSettings(bounds=bounds)) as platform:
        operator = asyncio.create_task(reconcile_tools(platform.kubernetes, platform.clock))
        yield platform
        operator.cancel()
        await asyncio.gather(operator, return_exceptions=True)
    await database.close()


@pytest.mark.parametrize(("path", "body"), [("/agents", {}), ("/tools", TOOL)])
async def test_a_tenant_makes_as_many_objects_as_it_may(bounded: Platform, path: str, body: dict[str, object]) -> None:
    key = {"Idempotency-Key": "k"}
    first = await bounded.request("POST", path, json=body | {"name": "fetch_url"}, headers=key)
    second = await bounded.request("POST", path, json=body | {"name": "fetch_url"})
    assert [first.status_code, second.status_code] == [201, 201]
    refused = await bounded.request("POST", path, json=body | {"name": "fetch_url"})
    assert error(refused, 409)["code"] == "too_many_objects"
    assert "no more than 2" in refused.json()["error"]["message"]
    again = await bounded.request("POST", path, json=body | {"name": "fetch_url"}, headers=key)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    token = await bounded.token(namespace=OTHER_NAMESPACE)
    assert (await bounded.request("POST", path, json=body | {"name": "fetch_url"}, token=token)).status_code == 201
    assert (await bounded.request("DELETE", f"{path}/{first.json()['id']}")).status_code == 204
    assert (await bounded.request("POST", path, json=body | {"name": "fetch_url"})).status_code == 201


async def test_a_tenant_binds_as_many_tools_as_it_may(bounded: Platform) -> None:
    async def posted(path: str, **fields: object) -> str:
        answer = await bounded.request("POST", path, json=fields)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    one, other = [await posted("/agents", name=name) for name in ("Ada", "Eve")]
    tools = [await posted("/tools", name="fetch_url", **TOOL) for _ in range(2)]
    first, second = [await posted(f"/agents/{one}/tools/{tool}") for tool in tools]
    beyond = f"/agents/{other}/tools/{tools[0]}"
    refused = error(await bounded.request("POST", beyond), 409)
    assert (refused["code"], "2 bindings" in refused["message"]) == ("too_many_objects", True)
    assert await posted(f"/agents/{one}/tools/{tools[0]}", timeout_ms=7) == first, "it is replaced"
    assert (await bounded.request("DELETE", f"/agents/{one}/tools/{tools[1]}")).status_code == 204
    assert await posted(beyond) not in (first, second)


async def test_an_agent_has_as_many_versions_as_it_may(bounded: Platform) -> None:
    path = f"/agents/{(await created(bounded, name='Ada'))['id']}/publish"
    key = {"Idempotency-Key": "k"}
    first = await bounded.request("POST", path, headers=key)
    assert first.json()["version"] == 2
    assert error(await bounded.request("POST", path), 409)["code"] == "too_many_objects"
    assert (await bounded.request("POST", path, headers=key)).json()["version"] == 2
    assert (await tried(bounded, "GET", path.removesuffix("/publish")))["version"] == 2


async def test_an_edit_that_cannot_be_published_with_it_is_not_stored(bounded: Platform) -> None:
    agent = await created(bounded, name="Ada", status="published")
    path = f"/agents/{agent['id']}"
    published = {"name": "Eve", "status": "published"}
    last = await tried(bounded, "PUT", path, **published)
    assert (last["name"], last["version"], last["status"]) == ("Eve", 2, "published")
    refused = await bounded.request("PUT", path, json={"name": "Ann", "status": "published"})
    assert error(refused, 409)["code"] == "too_many_objects"
    assert await tried(bounded, "GET", path) == last
    await tried(bounded, "PUT", path, name="Ann")
    restored = await tried(bounded, "PUT", path, **published)
    assert (restored["name"], restored["version"], restored["status"]) == ("Eve", 2, "published")

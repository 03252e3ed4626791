"""The audit of tools and bindings: every change, under the object's own id."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.fakes.tool_operator import reconcile_tools
from tests.integration.conftest import instance
from tests.integration.platform.conftest import NAMESPACE, Platform, error

from sympozium_api.names import LABEL_ID

AGENT = "71c5f0aa-3a7e-4a56-8d93-0b1a0d3f1c01"


@pytest.fixture(autouse=True)
async def operator(archiving: Platform) -> AsyncIterator[None]:
    body = instance(skills=[], webEndpoint={})
    body["metadata"] |= {"name": "helper", "namespace": NAMESPACE, "labels": {LABEL_ID: AGENT}}
    archiving.kubernetes.put(body)
    at_work = asyncio.create_task(reconcile_tools(archiving.kubernetes, archiving.clock))
    yield
    at_work.cancel()
    await asyncio.gather(at_work, return_exceptions=True)


async def test_every_change_has_an_entry_under_the_objects_own_id(archiving: Platform) -> None:
    tool = {"name": "pages", "input_schema": {}, "execution_type": "internal"}
    tool_id = (await archiving.request("POST", "/tools", json=tool)).json()["id"]
    path = f"/agents/{AGENT}/tools/{tool_id}"
    binding_id = (await archiving.request("POST", path)).json()["id"]
    await archiving.request("POST", path, json={"timeout_ms": 1})
    error(await archiving.request("POST", path, json={"rate_limit": "often"}), 422, "rate_limit")
    reader = await archiving.token("tools:read")
    error(await archiving.request("DELETE", path, token=reader), 403)
    assert (await archiving.request("DELETE", path)).status_code == 204
    assert (await archiving.request("PUT", f"/tools/{tool_id}", json={"version": 2})).status_code == 200
    assert (await archiving.request("DELETE", f"/tools/{tool_id}")).status_code == 204

    async def entries(**query: str) -> list[tuple[str, str, str | None]]:
        answer = await archiving.request("GET", "/audit", params=query)
        found = [(entry["action"], entry["status"], entry["resource_id"]) for entry in answer.json()]
        return [entry for entry in found if not entry[0].startswith("token.")]

    async with asyncio.timeout(60):
        while len(await entries()) < 8:  # the refusal for lack of a scope is written a moment later
            await asyncio.sleep(0.01)
    assert list(reversed(await entries(resource_id=binding_id))) == [
        ("binding.create", "succeeded", binding_id),
        ("binding.create", "succeeded", binding_id),
        ("binding.create", "refused", binding_id),
        ("binding.delete", "succeeded", binding_id),
    ]
    assert list(reversed(await entries(resource_id=tool_id))) == [
        ("tool.create", "succeeded", tool_id),
        ("tool.update", "succeeded", tool_id),
        ("tool.delete", "succeeded", tool_id),
    ]
    assert [entry for entry in await entries(action="binding.delete") if entry[1] == "refused"] == [
        ("binding.delete", "refused", None)
    ]

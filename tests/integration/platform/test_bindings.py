"""Bindings of the agent platform API: a tool is granted, replaced and taken away, and counts for the next run once it is answered."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.fakes.tool_operator import reconcile_tools
from tests.integration.conftest import instance
from tests.integration.platform.conftest import NAMESPACE, OTHER_NAMESPACE, TENANT, Platform, error
from tests.unit.api.tools import binding_manifest, tool_manifest

from sympozium_api import agent_document, names
from sympozium_api.resources import CONFIG_MAPS, TOOL_BINDINGS, Object

AGENT, TOOL = "71c5f0aa-3a7e-4a56-8d93-0b1a0d3f1c01", "b6a0a4de-6f0f-4b27-9d7e-2f6f3f3a7c02"
PATH = f"/agents/{AGENT}/tools/{TOOL}"
GRANT = {"permission_scope": "write", "timeout_ms": 5000, "rate_limit": "10/minute", "allowed_domains": ["tool-mock"]}


@pytest.fixture(autouse=True)
async def operator(platform: Platform) -> AsyncIterator[None]:
    """An agent and a tool, with their ids, in front of the operator's reconcilers."""
    put_agent(platform, "helper", AGENT)
    echo = tool_manifest("echo", title="echo_tool", timeoutSeconds=60, webhook={"url": "http://tool-mock:9000/echo"})
    echo["metadata"] |= {"namespace": NAMESPACE, "labels": {names.LABEL_ID: TOOL}}
    platform.kubernetes.put(echo)
    at_work = asyncio.create_task(reconcile_tools(platform.kubernetes, platform.clock))
    yield
    at_work.cancel()
    await asyncio.gather(at_work, return_exceptions=True)


def put_agent(platform: Platform, name: str, agent_id: str, namespace: str = NAMESPACE) -> None:
    body = instance(skills=[], webEndpoint={})
    body["metadata"] |= {"name": name, "namespace": namespace, "labels": {names.LABEL_ID: agent_id}}
    platform.kubernetes.put(body)


async def bound(platform: Platform, path: str = PATH, **changes: Any) -> dict[str, Any]:
    answer = await platform.request("POST", path, json=GRANT | changes)
    assert answer.status_code == 201, answer.text
    assert "x-sympozium-not-in-force" not in answer.headers
    binding: dict[str, Any] = answer.json()
    return binding


def offered(platform: Platform, agent: str = "helper") -> dict[str, agent_document.OfferedTool]:
    """What the agent's next run is offered, at this moment."""
    body = platform.kubernetes.objects.get((CONFIG_MAPS.plural, NAMESPACE, names.installed_skills(agent)))
    document = agent_document.of_config_map(body)
    return {tool.function: tool for tool in document.tools} if document else {}


def bindings(platform: Platform) -> list[Object]:
    return [
        platform.kubernetes.object(TOOL_BINDINGS, name, NAMESPACE) for name in platform.kubernetes.names(TOOL_BINDINGS)
    ]


async def test_a_bound_tool_is_offered_to_the_next_run(platform: Platform) -> None:
    binding = await bound(platform)
    assert offered(platform)["echo_tool"].timeout_ms == 5000
    [body] = bindings(platform)
    assert body["spec"] == {
        "agentRef": "helper",
        "toolRef": "echo",
        "permissionScope": "write",
        "timeoutMs": 5000,
        "rateLimit": "10/minute",
        "allowedDomains": ["tool-mock"],
    }
    [owner] = body["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("SympoziumInstance", "helper")
    assert binding == GRANT | {
        "id": body["metadata"]["labels"][names.LABEL_ID],
        "tenant_id": TENANT,
        "agent_id": AGENT,
        "tool_id": TOOL,
        "secrets_ref": None,
    }
    answer = await platform.request("GET", f"/agents/{AGENT}/tools")
    assert (answer.json(), answer.headers["x-total-count"]) == ([binding], "1")


async def test_a_binding_is_replaced_as_a_whole_and_never_doubled(platform: Platform) -> None:
    first = await bound(platform)
    again = await bound(platform, allowed_domains=["tool-mock", "example.com"], timeout_ms=60_000, rate_limit=None)
    assert again == first | {"allowed_domains": ["tool-mock", "example.com"], "timeout_ms": 60_000, "rate_limit": None}
    assert offered(platform)["echo_tool"].timeout_ms == 60_000
    bare = await platform.request("POST", PATH)
    assert bare.json() == first | {
        "permission_scope": "read",
        "timeout_ms": 15_000,
        "rate_limit": None,
        "allowed_domains": [],
    }
    assert "spec.allowedDomains" in bare.headers["x-sympozium-not-in-force"]
    assert offered(platform) == {}
    assert len(bindings(platform)) == 1


async def test_twenty_requests_at_once_make_one_binding(platform: Platform) -> None:
    answers = await asyncio.gather(*(platform.request("POST", PATH, json=GRANT) for _ in range(20)))
    assert [answer.status_code for answer in answers] == [201] * 20
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(bindings(platform)) == 1


async def test_a_changed_tool_counts_for_the_agents_that_have_it(platform: Platform) -> None:
    await bound(platform)
    change = {"description": "Repeats a text.", "name": "Say it again"}
    assert (await platform.request("PUT", f"/tools/{TOOL}", json=change)).status_code == 200
    [tool] = offered(platform).values()
    assert (tool.function, tool.description) == ("Say_it_again", "Repeats a text.")
    deprecated = await platform.request("PUT", f"/tools/{TOOL}", json={"status": "deprecated"})
    assert deprecated.json()["status"] == "deprecated"
    assert len(offered(platform)) == 1  # it still can be called
    assert (await platform.request("DELETE", f"/tools/{TOOL}")).status_code == 204
    assert offered(platform) == {}
    assert (await platform.request("GET", f"/agents/{AGENT}/tools")).json() == []


async def test_a_tool_is_taken_away(platform: Platform) -> None:
    await bound(platform)
    by_hand = binding_manifest("by-hand", agentRef="helper", toolRef="echo")
    by_hand["metadata"] |= {"namespace": NAMESPACE, "creationTimestamp": "2026-02-01T00:00:00Z"}
    platform.kubernetes.put(by_hand)
    assert (await platform.request("DELETE", PATH)).status_code == 204
    assert (offered(platform), bindings(platform)) == ({}, [])
    error(await platform.request("DELETE", PATH), 404)


async def test_those_of_kubectl_are_listed_and_replaced(platform: Platform) -> None:
    by_hand = binding_manifest("by-hand", agentRef="helper", toolRef="echo", allowedDomains=["tool-mock"])
    uid = str(uuid.uuid4())
    by_hand["metadata"] |= {"namespace": NAMESPACE, "uid": uid}
    platform.kubernetes.put(by_hand)
    [listed] = (await platform.request("GET", f"/agents/{AGENT}/tools")).json()
    assert (listed["id"], listed["timeout_ms"], listed["permission_scope"]) == (uid, 15_000, "read")
    assert (await bound(platform))["id"] == uid
    [body] = bindings(platform)
    assert (body["metadata"]["name"], body["metadata"]["labels"][names.LABEL_ID]) == ("by-hand", uid)


async def test_a_binding_brings_the_credentials_of_its_tool(platform: Platform) -> None:
    for auth in ("api_key", "oauth2"):
        await platform.request("PUT", f"/tools/{TOOL}", json={"auth_type": auth})
        without = await platform.request("POST", PATH, json=GRANT)
        assert without.status_code == 201
        assert "spec.secretKey" in without.headers["x-sympozium-not-in-force"]
        assert (await bound(platform, secrets_ref="WEATHER_KEY"))["secrets_ref"] == "WEATHER_KEY"
        assert "echo_tool" in offered(platform)
    [body] = bindings(platform)
    assert body["spec"]["secretKey"] == "WEATHER_KEY"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"permission_scope": "admin"}, "permission_scope"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"timeout_ms": 60_001}, "timeout_ms"),
        ({"timeout_ms": 2**70}, "timeout_ms"),
        ({"timeout_ms": "5000"}, "timeout_ms"),
        ({"timeout_ms": None}, "timeout_ms"),
        ({"rate_limit": "0/day"}, "rate_limit"),
        ({"rate_limit": "5/week"}, "rate_limit"),
        ({"rate_limit": 5}, "rate_limit"),
        ({"allowed_domains": "tool-mock"}, "allowed_domains"),
        ({"allowed_domains": ["tool-mock", "*.example.com"]}, "allowed_domains[1]"),
        ({"allowed_domains": ["a"] * 65}, "allowed_domains"),
        ({"secrets_ref": "a/b"}, "secrets_ref"),
        ({"secrets_ref": ""}, "secrets_ref"),
    ],
)
async def test_a_bad_field_is_named(platform: Platform, change: dict[str, Any], param: str) -> None:
    error(await platform.request("POST", PATH, json=GRANT | change), 422, param)
    assert bindings(platform) == []


async def test_the_same_key_makes_the_same_binding_and_a_replay_undoes_nothing(platform: Platform) -> None:
    def post(key: str, **changes: Any) -> Any:
        return platform.request("POST", PATH, json=GRANT | changes, headers={"Idempotency-Key": key})

    first, second = (await post("one")).json(), (await post("two", timeout_ms=1)).json()
    assert first["id"] == second["id"]
    assert (await post("one")).json() == second  # carried out before: nothing is changed
    error(await post("one", timeout_ms=2), 422, "Idempotency-Key")
    error(await post("two"), 422, "Idempotency-Key")
    [body] = bindings(platform)
    assert body["spec"]["timeoutMs"] == 1


async def test_agents_and_tools_of_others_are_not_there(platform: Platform) -> None:
    other = await platform.token(namespace=OTHER_NAMESPACE)
    own_agent = str(uuid.uuid4())
    put_agent(platform, "theirs", own_agent, OTHER_NAMESPACE)
    for path in (PATH, f"/agents/{own_agent}/tools/{TOOL}"):
        for method in ("POST", "DELETE"):
            error(await platform.request(method, path, token=other), 404)
    error(await platform.request("GET", f"/agents/{AGENT}/tools", token=other), 404)
    error(await platform.request("POST", f"/agents/{AGENT}/tools/{uuid.uuid4()}"), 404)
    error(await platform.request("POST", f"/agents/{own_agent}/tools/{TOOL}"), 404)
    error(await platform.request("POST", f"/agents/{AGENT}/tools/none"), 422, "tool_id")
    reads = await platform.token("tools:read")
    error(await platform.request("POST", PATH, json=GRANT, token=reads), 403)
    assert (await platform.request("GET", f"/agents/{AGENT}/tools", token=reads)).json() == []
    assert bindings(platform) == []


async def test_a_copy_under_other_uids_keeps_the_ids(platform: Platform) -> None:
    """As a restore from a backup makes it."""
    binding = await bound(platform)
    [body] = bindings(platform)
    restored = json.loads(json.dumps(body))
    restored["metadata"] |= {"uid": str(uuid.uuid4())}
    platform.kubernetes.remove(TOOL_BINDINGS, body["metadata"]["name"], NAMESPACE)
    platform.kubernetes.put(restored)
    assert (await platform.request("GET", f"/agents/{AGENT}/tools")).json() == [binding]

"""Agents over HTTP: created, listed, edited, published and deleted by the callers of one tenant."""

import asyncio
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.integration.conftest import eventually
from tests.integration.platform.agent_calls import created, tried, until
from tests.integration.platform.conftest import (
    NAMESPACE,
    OTHER_NAMESPACE,
    TENANT,
    Platform,
    error,
    provider,
    serving,
)

from sympozium_api import names
from sympozium_api.instance import InstanceSpec
from sympozium_api.resources import CONTROLLER_REVISIONS, INSTANCES, Object
from sympozium_archive.database import Database
from sympozium_platform.agent_models import NewAgent
from sympozium_platform.platform_settings import PlatformSettings

FIELDS = {
    "id",
    "tenant_id",
    "owner_user_id",
    "name",
    "system_prompt",
    "model",
    "llm_params",
    "status",
    "version",
    "created_at",
    "updated_at",
}
UNKNOWN = "11111111-2222-4333-8444-555555555555"


async def test_an_agent_begins_as_a_draft(platform: Platform) -> None:
    agent = await created(platform, name="Ada", system_prompt="Be brief.", llm_params={"temperature": 0.5})
    assert agent.keys() == FIELDS
    assert uuid.UUID(agent["id"])
    assert (agent["tenant_id"], agent["owner_user_id"], agent["name"]) == (TENANT, "ada", "Ada")
    assert (agent["system_prompt"], agent["llm_params"]) == ("Be brief.", {"temperature": 0.5})
    assert (agent["model"], agent["status"], agent["version"]) == ("openai:gpt-4o-mini", "draft", 1)
    assert agent["created_at"] == agent["updated_at"]
    assert await tried(platform, "GET", f"/agents/{agent['id']}") == agent
    [instance] = [
        platform.kubernetes.object(INSTANCES, name, NAMESPACE) for name in platform.kubernetes.names(INSTANCES)
    ]
    assert instance["spec"]["agents"]["default"].items() >= {"model": "gpt-4o-mini", "providerRef": "openai"}.items()
    assert instance["metadata"]["annotations"][names.ANNOTATION_OWNER] == "ada"


async def test_what_is_not_given_has_its_default(platform: Platform) -> None:
    agent = await created(platform, name="工程师 🤖")
    assert (agent["name"], agent["system_prompt"], agent["llm_params"]) == ("工程师 🤖", "", None)


async def test_the_default_model_is_the_installations(tmp_path: Path) -> None:
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    async with serving(tmp_path, database, PlatformSettings(default_model="ollama:llama3:8b")) as platform:
        error(await platform.request("POST", "/agents", json={"name": "A"}), 422, "model")
        provider(platform.kubernetes, "ollama")
        assert (await created(platform, name="A"))["model"] == "ollama:llama3:8b"
    await database.close()


BAD: tuple[tuple[Any, str | None], ...] = (
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": "a" * 201}, "name"),
    ({"name": 1}, "name"),
    ({"name": None}, "name"),
    ({"name": "a", "system_prompt": None}, "system_prompt"),
    ({"name": "a", "model": "gpt-4o"}, "model"),
    ({"name": "a", "model": ":m"}, "model"),
    ({"name": "a", "model": "openai:"}, "model"),
    ({"name": "a", "model": "nobody:m"}, "model"),
    ({"name": "a", "model": "Not a name/../x:m"}, "model"),
    ({"name": "a", "model": "openai:" + "m" * 257}, "model"),
    ({"name": "a", "llm_params": []}, "llm_params"),
    ({"name": "a", "llm_params": {"temperature": 3}}, "llm_params.temperature"),
    ({"name": "a", "llm_params": {"temperature": "1"}}, "llm_params.temperature"),
    ({"name": "a", "llm_params": {"top_k": 1}}, "llm_params.top_k"),
    ({"name": "a", "llm_params": {"seed": 2**63}}, "llm_params.seed"),
    ({"name": "a", "llm_params": {"max_tokens": 1, "max_completion_tokens": 1}}, "llm_params"),
    ({"name": "a", "status": "live"}, "status"),
    ([], None),
    ("a", None),
)


async def test_a_bad_field_is_named(platform: Platform) -> None:
    agent = await created(platform, name="Ada")
    for body, field in BAD:
        error(await platform.request("POST", "/agents", json=body), 422, field)
        if body != {}:
            error(await platform.request("PUT", f"/agents/{agent['id']}", json=body), 422, field)
    assert len(platform.kubernetes.names(INSTANCES)) == 1


def test_a_prompt_is_bounded_as_an_instances_is() -> None:
    longest = InstanceSpec.model_json_schema()["$defs"]["Memory"]["properties"]["systemPrompt"]["anyOf"][0]["maxLength"]
    assert NewAgent.model_validate({"name": "a", "system_prompt": "é" * longest})
    with pytest.raises(ValidationError, match="system_prompt"):
        NewAgent.model_validate({"name": "a", "system_prompt": "a" * (longest + 1)})


async def test_bodies_are_json_whatever_their_type_says(platform: Platform) -> None:
    headers = {"Content-Type": "text/plain"}
    answer = await platform.request("POST", "/agents", content='{"name": "Ada"}', headers=headers)
    assert answer.status_code == 201
    error(await platform.request("POST", "/agents", content="name=Ada"), 400)
    error(await platform.request("POST", "/agents", content=b'{"name": "\\ud800"}'), 400)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/agents/{id}"),
        ("PUT", "/agents/{id}"),
        ("DELETE", "/agents/{id}"),
        ("POST", "/agents/{id}/publish"),
    ],
)
async def test_only_ids_of_the_tenants_agents_are_found(platform: Platform, method: str, path: str) -> None:
    body = {"name": "Eve"} if method == "PUT" else None
    agent = await created(platform, name="Ada")
    error(await platform.request(method, path.format(id=UNKNOWN), json=body), 404)
    foreign = await platform.token(namespace=OTHER_NAMESPACE)
    error(await platform.request(method, path.format(id=agent["id"]), token=foreign, json=body), 404)
    error(await platform.request(method, path.format(id="no-uuid"), json=body), 422, "agent_id")
    assert await tried(platform, "GET", f"/agents/{agent['id']}") == agent


async def test_reading_takes_one_scope_and_changing_another(platform: Platform) -> None:
    agent, reader = await created(platform, name="Ada"), await platform.token("tools:read")
    for path in ("/agents", f"/agents/{agent['id']}"):
        assert (await platform.request("GET", path, token=reader)).status_code == 200
    for method, path in (
        ("POST", "/agents"),
        ("PUT", f"/agents/{agent['id']}"),
        ("DELETE", f"/agents/{agent['id']}"),
        ("POST", f"/agents/{agent['id']}/publish"),
    ):
        error(await platform.request(method, path, token=reader, json={"name": "Eve"}), 403)
        error(await platform.request(method, path, token="", json={"name": "Eve"}), 401)
    assert await tried(platform, "GET", f"/agents/{agent['id']}") == agent


async def test_lists_are_newest_first_and_in_pages(platform: Platform) -> None:
    for number in range(5):
        platform.clock.advance(0.001)
        await created(platform, name=f"agent {number}")
    for query, shown in (("", "43210"), ("?limit=2", "43"), ("?limit=2&offset=3", "10"), ("?offset=9", "")):
        answer = await platform.request("GET", f"/agents{query}")
        assert answer.headers["x-total-count"] == "5"
        assert [agent["name"] for agent in answer.json()] == [f"agent {number}" for number in shown]
    for query, field in (("limit=0", "limit"), ("limit=201", "limit"), ("offset=-1", "offset"), ("page=1", "page")):
        error(await platform.request("GET", f"/agents?{query}"), 422, field)


def plain(name: str = "demo") -> Object:
    spec = {"agents": {"default": {"model": "m"}}}
    return {"kind": "SympoziumInstance", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


async def test_agents_of_kubectl_are_listed_and_edited_too(platform: Platform) -> None:
    body = plain()
    body["metadata"]["uid"] = str(uuid.uuid4())
    platform.kubernetes.put(body)
    await eventually(lambda: platform.context.agents.catalog.page(NAMESPACE, limit=1, offset=0)[1] == 1)
    [agent] = await tried(platform, "GET", "/agents")
    assert (agent["id"], agent["name"], agent["owner_user_id"]) == (body["metadata"]["uid"], "demo", None)
    assert (agent["model"], agent["status"], agent["version"]) == ("openai:m", "draft", 1)
    edited = await tried(platform, "PUT", f"/agents/{agent['id']}", name="Demo")
    assert (edited["id"], edited["name"]) == (agent["id"], "Demo")
    assert (await tried(platform, "POST", f"/agents/{agent['id']}/publish"))["version"] == 2


async def test_put_changes_what_is_given_and_nothing_else(platform: Platform) -> None:
    agent = await created(platform, name="Ada", system_prompt="Be brief.", llm_params={"temperature": 0.5, "seed": 1})
    path = f"/agents/{agent['id']}"
    platform.clock.advance(1)
    identity: dict[str, Any] = {
        "id": UNKNOWN,
        "tenant_id": UNKNOWN,
        "owner_user_id": "eve",
        "version": 9,
        "created_at": "2020-01-01",
    }
    changed = await tried(platform, "PUT", path, llm_params={"seed": 2}, **identity)
    assert changed == agent | {"llm_params": {"seed": 2}, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > agent["updated_at"]
    assert await tried(platform, "PUT", path) == changed
    changed = await tried(platform, "PUT", path, llm_params=None, system_prompt="", name="Eve")
    assert (changed["llm_params"], changed["system_prompt"], changed["name"]) == (None, "", "Eve")
    assert await tried(platform, "GET", path) == changed


async def test_edits_after_publication_are_a_draft_until_they_are_published(platform: Platform) -> None:
    agent = await created(platform, name="Ada", status="published")
    assert (agent["status"], agent["version"]) == ("published", 1)
    path = f"/agents/{agent['id']}"
    draft = await tried(platform, "PUT", path, system_prompt="Be long.")
    assert (draft["status"], draft["version"], draft["system_prompt"]) == ("draft", 1, "Be long.")
    published = await tried(platform, "POST", f"{path}/publish")
    assert (published["status"], published["version"], published["id"]) == ("published", 2, agent["id"])
    assert await tried(platform, "GET", path) == published
    prompts = [
        platform.kubernetes.object(CONTROLLER_REVISIONS, name, NAMESPACE)["data"]["prompt"]
        for name in sorted(platform.kubernetes.names(CONTROLLER_REVISIONS))
    ]
    assert prompts == ["", "Be long."]
    assert (await tried(platform, "POST", f"{path}/publish"))["version"] == 3


async def test_a_key_makes_one_agent(platform: Platform) -> None:
    headers, body = {"Idempotency-Key": "k1"}, {"name": "Ada", "status": "published"}
    answers = await asyncio.gather(*(platform.request("POST", "/agents", headers=headers, json=body) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["id"] for answer in answers}) == 1
    error(await platform.request("POST", "/agents", headers=headers, json={"name": "Eve"}), 422, "Idempotency-Key")
    for other in (await platform.token(user="eve"), await platform.token(namespace=OTHER_NAMESPACE)):
        answer = await platform.request("POST", "/agents", token=other, headers=headers, json={"name": "Eve"})
        assert answer.status_code == 201
    error(
        await platform.request("POST", "/agents", headers={"Idempotency-Key": "k" * 256}, json=body),
        422,
        "Idempotency-Key",
    )


async def test_a_deleted_agent_is_gone(platform: Platform) -> None:
    agent = await created(platform, name="Ada", status="published")
    path = f"/agents/{agent['id']}"
    answer = await platform.request("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method, target in (("GET", path), ("PUT", path), ("DELETE", path), ("POST", f"{path}/publish")):
        error(await platform.request(method, target, json={}), 404)
    answer = await platform.request("GET", "/agents")
    assert (answer.json(), answer.headers["x-total-count"]) == ([], "0")
    assert platform.kubernetes.names(CONTROLLER_REVISIONS) == []


async def test_an_agent_with_runs_that_go_on_is_hidden_at_once(archiving: Platform) -> None:
    agent = await created(archiving, name="Ada", status="published")
    [name] = archiving.kubernetes.names(INSTANCES)
    spec = {"agentRef": name, "mode": "task", "task": "x"}
    run = {"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": {"name": "r", "namespace": NAMESPACE}}
    archiving.kubernetes.put(run | {"spec": spec})
    deletion = asyncio.create_task(archiving.request("DELETE", f"/agents/{agent['id']}"))

    async def is_gone() -> bool:
        return (await archiving.request("GET", f"/agents/{agent['id']}")).status_code == 404

    await until(is_gone)
    assert archiving.kubernetes.names(INSTANCES) == [name]
    archiving.kubernetes.put(run | {"status": {"phase": "Succeeded", "result": "x"}})
    assert (await deletion).status_code == 204
    await eventually(lambda: archiving.kubernetes.names(INSTANCES) == [])


async def test_a_change_is_answered_once_the_operator_has_carried_it_out(platform: Platform) -> None:
    agent = await created(platform, name="Ada")
    await tried(platform, "PUT", f"/agents/{agent['id']}", system_prompt="x")
    [name] = platform.kubernetes.names(INSTANCES)
    body = platform.kubernetes.object(INSTANCES, name, NAMESPACE)
    assert body["status"]["observedGeneration"] == body["metadata"]["generation"] == 2


async def test_every_change_is_audited_and_refusals_too(archiving: Platform) -> None:
    agent = await created(archiving, name="Ada")
    path = f"/agents/{agent['id']}"
    await tried(archiving, "PUT", path, name="Eve")
    await tried(archiving, "POST", f"{path}/publish")
    error(await archiving.request("PUT", path, json={"model": "nobody:m"}), 422, "model")
    assert (await archiving.request("DELETE", path)).status_code == 204
    error(await archiving.request("POST", f"{path}/publish"), 404)
    reader = await archiving.token("tools:read")
    error(await archiving.request("DELETE", path, token=reader), 403)

    async def entries() -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = await tried(archiving, "GET", f"/audit?resource_id={agent['id']}")
        return found

    async def is_complete() -> bool:
        return len(await entries()) == 7  # refusals are written a moment later

    await until(is_complete)
    assert [entry["action"] for entry in reversed(await entries())] == [
        "agent.create",
        "agent.update",
        "agent.publish",
        "agent.update",
        "agent.delete",
        "agent.publish",
        "agent.delete",
    ]
    assert {(entry["resource_type"], entry["tenant_id"], entry["user_id"]) for entry in await entries()} == {
        ("agent", TENANT, "ada")
    }

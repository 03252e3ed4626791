"""Agents of a namespace: ids, drafts and versions, at two replicas at once."""

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.fakes.session_world import CACHE_SECONDS, SlowKubernetes

from sympozium_api import names
from sympozium_api.client import ApiError
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONTROLLER_REVISIONS, INSTANCES, PROVIDERS
from sympozium_domain.agents.agent import Agent
from sympozium_domain.agents.agent_catalog import AgentCatalog
from sympozium_domain.agents.agent_manifest import AgentFields, NoSuchProvider
from sympozium_domain.agents.agents import AgentDeleting, Agents
from sympozium_domain.agents.versions import AgentVersion, Versions
from sympozium_domain.idempotent_creation import Creation
from sympozium_domain.tenant_bounds import TenantBounds, TooMany

ADA = AgentFields(title="Ada", prompt="Be brief.", model="openai:m1", params={"temperature": 0.5})


def agents_of(kubernetes: FakeKubernetes) -> Agents:
    async def delete(namespace: str, name: str) -> None:
        await kubernetes.delete(INSTANCES, namespace, name)

    return Agents(kubernetes, FakeClock(), AgentCatalog(), lambda: False, delete, settle_seconds=0)


@pytest.fixture
def kubernetes() -> SlowKubernetes:
    found = SlowKubernetes()
    for provider in ("openai", "other"):
        spec = {"type": "openai_compat", "apiBase": "https://llm.example.com/v1"}
        found.put({"kind": "Provider", "metadata": {"name": provider, "namespace": "team"}, "spec": spec})
    return found


@pytest.fixture
def agents(kubernetes: SlowKubernetes) -> Agents:
    return agents_of(kubernetes)


def creation(key: str | None = None, body: Any = None) -> Creation:
    return Creation.of(tenant="t", caller="key/1", route="agents", idempotency_key=key, body=body)


async def created(agents: Agents, fields: AgentFields = ADA) -> Agent:
    return await agents.create(creation(), "team", fields, "ada")


async def read(agents: Agents, agent: Agent) -> Agent:
    body = await agents.find("team", agent.id)
    assert body is not None
    return Agent.of(body)


async def version_of(kubernetes: FakeKubernetes, agent: Agent) -> AgentVersion | None:
    body = kubernetes.object(INSTANCES, agent.name, "team")
    return await Versions(kubernetes).published(SympoziumInstance.model_validate(body))


async def changed(agents: Agents, agent: Agent, **fields: Any) -> Agent:
    found = await agents.change("team", agent.id, AgentFields(**fields))
    assert found is not None
    return found


async def published(agents: Agents, agent: Agent) -> Agent:
    found = await agents.publish("team", agent.id)
    assert found is not None
    return found


async def test_an_agent_is_an_instance_with_a_provider(agents: Agents, kubernetes: SlowKubernetes) -> None:
    agent = await created(agents)
    body = kubernetes.object(INSTANCES, agent.name, "team")
    assert body["spec"]["title"] == "Ada"
    assert body["spec"]["memory"] == {"systemPrompt": "Be brief."}
    default = {"model": "m1", "providerRef": "openai", "params": {"temperature": 0.5}}
    assert body["spec"]["agents"]["default"].items() >= default.items()
    assert body["metadata"]["labels"] == {names.LABEL_ID: agent.id}
    assert (agent.owner, agent.status, agent.version, agent.is_published) == ("ada", "draft", 1, False)
    assert await read(agents, agent) == agent
    assert await version_of(kubernetes, agent) is None


async def test_a_list_has_the_prompts_that_are_too_many_to_be_kept(agents: Agents, kubernetes: SlowKubernetes) -> None:
    catalog = AgentCatalog(most_prompt_bytes=2500)
    agents = replace(agents, catalog=catalog, is_whole=lambda: True)
    made = [await created(agents, replace(ADA, prompt=f"{number}" * 1000)) for number in range(4)]
    kept, _ = catalog.page("team", limit=9, offset=0)
    assert sum(agent.has_prompt for agent in kept) == 2
    page, total = await agents.page("team", limit=9, offset=0)
    assert ({agent.id: agent.prompt[0] for agent in page}, total) == (
        {agent.id: str(number) for number, agent in enumerate(made)},
        4,
    )
    await agents.delete("team", made[0].id)
    short = await changed(agents, made[3], prompt="3" * 1001)
    assert catalog.find("team", short.id) == short


async def test_a_provider_that_is_not_there_is_refused(agents: Agents, kubernetes: SlowKubernetes) -> None:
    with pytest.raises(NoSuchProvider, match="mistral"):
        await created(agents, AgentFields(title="A", model="mistral:m"))
    assert kubernetes.names(INSTANCES) == []
    agent = await created(agents)
    with pytest.raises(NoSuchProvider):
        await changed(agents, agent, model="mistral:m")
    await kubernetes.delete(PROVIDERS, "team", "openai")
    with pytest.raises(NoSuchProvider):
        await changed(agents, agent, model="openai:m2")
    assert (await changed(agents, agent, model="openai:m1", title="B")).title == "B"


async def test_published_at_creation_is_frozen_at_once(agents: Agents, kubernetes: SlowKubernetes) -> None:
    agent = await created(agents, AgentFields(title="Ada", model="openai:m1", status="published"))
    assert (agent.status, agent.version) == ("published", 1)
    assert kubernetes.names(CONTROLLER_REVISIONS) == [f"{agent.name}-v1"]
    version = await version_of(kubernetes, agent)
    assert version is not None
    assert (version.number, version.title, version.model) == (1, "Ada", "m1")


async def test_edits_after_publication_are_a_draft_of_the_next_version(
    agents: Agents, kubernetes: SlowKubernetes
) -> None:
    agent = await published(agents, await created(agents))
    assert (agent.status, agent.version) == ("published", 2)
    agent = await changed(agents, agent, prompt="Be long.", model="other:m3")
    assert (agent.status, agent.version, agent.model, agent.prompt) == ("draft", 2, "other:m3", "Be long.")
    version = await version_of(kubernetes, agent)
    assert version is not None
    assert (version.number, version.prompt, version.provider_ref) == (2, "Be brief.", "openai")
    agent = await published(agents, agent)
    assert (agent.status, agent.version) == ("published", 3)
    version = await version_of(kubernetes, agent)
    assert version is not None
    assert (version.number, version.prompt, version.provider_ref) == (3, "Be long.", "other")


async def test_what_changes_nothing_writes_nothing(agents: Agents, kubernetes: SlowKubernetes) -> None:
    agent = await published(agents, await created(agents))
    kubernetes.writes.clear()
    same = {"title": "Ada", "prompt": "Be brief.", "model": "openai:m1", "params": {"temperature": 0.5}}
    assert await changed(agents, agent, **same, status="published") == agent
    assert kubernetes.writes == []


async def test_a_status_publishes_and_unpublishes(agents: Agents, kubernetes: SlowKubernetes) -> None:
    agent = await changed(agents, await created(agents), title="Eve", status="published")
    assert (agent.title, agent.status, agent.version) == ("Eve", "published", 2)
    agent = await changed(agents, agent, status="draft")
    assert (agent.status, agent.version, agent.is_published) == ("draft", 2, True)
    assert await version_of(kubernetes, agent) is not None


async def test_params_are_replaced_and_removed(agents: Agents) -> None:
    agent = await created(agents)
    assert (await changed(agents, agent, params={"seed": 1})).params == {"seed": 1}
    assert (await changed(agents, agent, params={})).params == {}
    assert (await changed(agents, agent, removes_params=True)).params is None


@pytest.mark.parametrize("wishes", [2, 8])
async def test_publications_at_once_share_no_number(kubernetes: SlowKubernetes, wishes: int) -> None:
    first, second = agents_of(kubernetes), agents_of(kubernetes)
    agent = await created(first)
    answers = await asyncio.gather(*(published((first, second)[n % 2], agent) for n in range(wishes)))
    numbers = sorted(answer.version for answer in answers)
    assert len(set(numbers)) == wishes
    assert sorted(kubernetes.names(CONTROLLER_REVISIONS)) == sorted(f"{agent.name}-v{number}" for number in numbers)
    newest = await read(second, agent)
    assert (newest.version, newest.status) == (numbers[-1], "published")
    version = await version_of(kubernetes, agent)
    assert version is not None
    assert version.number == numbers[-1]


async def test_a_number_of_an_unfinished_publication_is_not_taken_again(
    agents: Agents, kubernetes: SlowKubernetes
) -> None:
    agent = await created(agents)
    kubernetes.refuse("patch", INSTANCES, api_error(500, "InternalError"))
    with pytest.raises(ApiError):
        await published(agents, agent)
    assert (await published(agents, agent)).version == 3


async def test_changes_meet_the_operators_reports(agents: Agents, kubernetes: SlowKubernetes) -> None:
    agent = await created(agents)

    def report() -> None:
        body = kubernetes.object(INSTANCES, agent.name, "team")
        kubernetes.put({**body, "status": {"observedGeneration": body["metadata"]["generation"], "phase": "Running"}})

    for _ in range(3):
        kubernetes.meanwhile("patch", INSTANCES, report)
    assert (await changed(agents, agent, title="Eve")).title == "Eve"
    kubernetes.meanwhile("patch", INSTANCES, report)
    assert (await published(agents, agent)).version == 2


async def test_the_same_request_makes_one_agent(agents: Agents, kubernetes: SlowKubernetes) -> None:
    wish = AgentFields(title="Ada", model="openai:m1", status="published")
    answers = await asyncio.gather(
        *(agents_of(kubernetes).create(creation("k", {}), "team", wish, "ada") for _ in range(4))
    )
    assert len({answer.id for answer in answers}) == 1
    assert len(kubernetes.names(INSTANCES)) == 1
    assert await agents.delete("team", answers[0].id)


async def test_a_crash_between_instance_and_version_is_mended_by_the_next_request(
    agents: Agents, kubernetes: SlowKubernetes
) -> None:
    wish = AgentFields(title="Ada", model="openai:m1", status="published")
    kubernetes.refuse("create", CONTROLLER_REVISIONS, api_error(500, "InternalError"))
    with pytest.raises(ApiError):
        await agents.create(creation("k", {}), "team", wish, "ada")
    agent = await agents.create(creation("k", {}), "team", wish, "ada")
    assert kubernetes.names(CONTROLLER_REVISIONS) == [f"{agent.name}-v1"]


async def test_a_deleted_agent_is_found_no_more(agents: Agents) -> None:
    agent = await created(agents)
    assert await agents.delete("team", agent.id)
    assert not await agents.delete("team", agent.id)
    assert await agents.find("team", agent.id) is None
    assert agents.catalog.page("team", limit=9, offset=0) == ([], 0)
    assert await agents.publish("team", agent.id) is None
    assert await agents.change("team", agent.id, AgentFields(title="x")) is None


async def test_an_agent_that_is_being_deleted_is_gone_for_callers(agents: Agents, kubernetes: SlowKubernetes) -> None:
    agent = await agents.create(creation("k", {}), "team", ADA, "ada")
    labels = {"labels": {names.LABEL_DELETING: "1767225600"}}
    await kubernetes.patch(INSTANCES, "team", agent.name, {"metadata": labels})
    assert await agents.find("team", agent.id) is None
    with pytest.raises(AgentDeleting):
        await agents.create(creation("k", {}), "team", ADA, "ada")


async def test_another_namespace_has_nothing_of_it(agents: Agents) -> None:
    agent = await created(agents)
    assert await agents.find("elsewhere", agent.id) is None
    assert not await agents.delete("elsewhere", agent.id)


async def test_a_restored_agent_has_its_old_id_and_version(agents: Agents, kubernetes: SlowKubernetes) -> None:
    agent = await published(agents, await created(agents))
    backup = kubernetes.object(INSTANCES, agent.name, "team")
    revision = kubernetes.object(CONTROLLER_REVISIONS, f"{agent.name}-v2", "team")
    await agents.delete("team", agent.id)
    assert kubernetes.names(CONTROLLER_REVISIONS) == []
    for body in (backup, revision):
        kept = {
            key: body["metadata"][key]
            for key in ("name", "namespace", "labels", "annotations")
            if key in body["metadata"]
        }
        kubernetes.put({**{key: body[key] for key in body if key != "status"}, "metadata": kept})
    for replica in (agents, agents_of(kubernetes)):
        found = await read(replica, agent)
        assert found.uid != agent.uid
        assert (found.id, found.created_at, found.status, found.version) == (
            agent.id,
            agent.created_at,
            "published",
            2,
        )
    assert await version_of(kubernetes, agent) is not None
    assert (await published(agents, agent)).version == 3


def put_plain(kubernetes: FakeKubernetes) -> Agent:
    default = {"model": "m1", "baseURL": "http://vllm:8000/v1"}
    spec = {"agents": {"default": default}, "authRefs": [{"provider": "vllm", "secret": "s"}]}
    metadata = {"name": "demo", "namespace": "team", "uid": str(uuid.uuid4())}
    return Agent.of(kubernetes.put({"kind": "SympoziumInstance", "metadata": metadata, "spec": spec}))


async def test_an_agent_of_kubectl_is_one_too(agents: Agents, kubernetes: SlowKubernetes) -> None:
    plain = put_plain(kubernetes)
    agent = await read(agents, plain)
    assert (agent.id, agent.title, agent.model, agent.owner) == (plain.uid, "demo", "vllm:m1", None)
    agent = await published(agents, agent)
    assert (agent.id, agent.version) == (plain.uid, 2)
    assert kubernetes.object(INSTANCES, "demo", "team")["metadata"]["labels"] == {names.LABEL_ID: plain.uid}
    version = await version_of(kubernetes, agent)
    assert version is not None
    assert (version.provider_ref, version.base_url) == (None, "http://vllm:8000/v1")


async def test_an_agent_of_kubectl_keeps_its_server_until_it_gets_a_provider(
    agents: Agents, kubernetes: SlowKubernetes
) -> None:
    plain = put_plain(kubernetes)
    await changed(agents, plain, model="vllm:m2")
    spec = kubernetes.object(INSTANCES, "demo", "team")["spec"]
    assert (spec["agents"]["default"]["model"], spec["authRefs"][0]["provider"]) == ("m2", "vllm")
    assert (await changed(agents, plain, model="openai:m3")).model == "openai:m3"
    spec = kubernetes.object(INSTANCES, "demo", "team")["spec"]
    assert (spec["agents"]["default"]["model"], spec["agents"]["default"]["providerRef"]) == ("m3", "openai")
    assert "authRefs" not in spec
    assert "baseURL" not in spec["agents"]["default"]


async def test_an_agent_whose_deletion_no_watch_has_shown_is_gone_once_it_is_read(
    agents: Agents, kubernetes: SlowKubernetes
) -> None:
    agent = await created(agents)
    kubernetes.remove(INSTANCES, agent.name, "team")
    assert await agents.find("team", agent.id) is None
    assert agents.catalog.page("team", limit=9, offset=0) == ([], 0)


async def test_unknown_ids_cost_no_list_of_all_agents(agents: Agents, kubernetes: SlowKubernetes) -> None:
    whole = replace(agents, is_whole=lambda: True)
    agent = await created(agents_of(kubernetes))
    kubernetes.reads.clear()
    assert await whole.find("team", str(uuid.uuid4())) is None
    assert len(kubernetes.reads) == 1
    body = await whole.find("team", agent.id)
    assert body is not None
    assert body["metadata"]["name"] == agent.name


async def test_a_replica_that_does_not_know_all_agents_yet_counts_them(
    agents: Agents, kubernetes: SlowKubernetes
) -> None:
    await created(agents)
    await asyncio.sleep(2 * CACHE_SECONDS)
    other = replace(agents_of(kubernetes), bounds=TenantBounds(agents=1))
    with pytest.raises(TooMany, match="1 agents"):
        await created(other)
    assert len(kubernetes.names(INSTANCES)) == 1

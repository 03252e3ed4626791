"""The agents that a process knows: pages, the newest first, whatever order their states come in."""

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from sympozium_api import names
from sympozium_api.resources import Object
from sympozium_domain.agents.agent import Agent
from sympozium_domain.agents.agent_catalog import AgentCatalog

NAMESPACES, NAMES = ("a", "b"), ("x", "y", "z")
PLACES = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(NAMES))


def instance(
    namespace: str, name: str, version: int, *, second: int = 0, uid: str = "u", observed: int | None = None
) -> Object:
    agent_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{namespace}/{name}"))
    created = f"2026-01-01T00:00:{second:02}.000000Z"
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "generation": version,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {names.LABEL_ID: agent_id},
            "annotations": {names.ANNOTATION_CREATED_AT: created},
        },
        "spec": {"title": f"{name} {version}", "agents": {"default": {"model": "m"}}},
        "status": {} if observed is None else {"observedGeneration": observed},
    }


@dataclass
class Model:
    """The same knowledge, without an order that is kept."""

    versions: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def page(self, namespace: str, limit: int, offset: int) -> tuple[list[str], int]:
        own = [(second, key[1], version) for key, (version, second) in self.versions.items() if key[0] == namespace]
        shown = sorted(own, reverse=True)[offset : offset + limit]
        return [f"{name} {version}" for _, name, version in shown], len(own)


@given(
    st.lists(st.tuples(PLACES, st.integers(1, 30), st.booleans()), max_size=40), st.integers(1, 4), st.integers(0, 4)
)
@settings(deadline=None)
def test_pages_are_those_of_all_agents_in_order(
    steps: list[tuple[tuple[str, str], int, bool]], limit: int, offset: int
) -> None:
    catalog, model, generations = AgentCatalog(), Model(), dict[tuple[str, str], int]()
    for key, version, is_removal in steps:
        namespace, name = key
        if is_removal:
            catalog.remove(key)
            if model.versions.pop(key, None):
                generations[key] = generations.get(key, 0) + 1
            continue
        uid, second = f"{key}-{generations.get(key, 0)}", len(name) + ord(name) % 7
        catalog.put(instance(namespace, name, version, second=second, uid=uid))
        if key not in model.versions or model.versions[key][0] <= version:
            model.versions[key] = version, second
    for namespace in NAMESPACES:
        agents, total = catalog.page(namespace, limit=limit, offset=offset)
        assert ([agent.title for agent in agents], total) == model.page(namespace, limit, offset)
        for agent in agents:
            assert catalog.find(namespace, agent.id) == agent
            assert all(catalog.find(other, agent.id) is None for other in NAMESPACES if other != namespace)


def test_a_late_answer_does_not_bring_a_deleted_agent_back() -> None:
    catalog = AgentCatalog()
    catalog.put(instance("a", "x", 1))
    catalog.remove(("a", "x"))
    catalog.put(instance("a", "x", 2))
    assert catalog.page("a", limit=9, offset=0) == ([], 0)
    catalog.put(instance("a", "x", 3, uid="another"))
    assert catalog.page("a", limit=9, offset=0)[1] == 1


def test_an_agent_that_is_being_deleted_is_not_shown() -> None:
    catalog = AgentCatalog()
    body = instance("a", "x", 1)
    catalog.put(body)
    body = instance("a", "x", 2)
    body["metadata"]["labels"][names.LABEL_DELETING] = "1"
    catalog.put(body)
    assert catalog.page("a", limit=9, offset=0) == ([], 0)
    assert catalog.find("a", body["metadata"]["labels"][names.LABEL_ID]) is None


def test_an_instance_that_cannot_be_read_is_not_shown() -> None:
    catalog = AgentCatalog()
    catalog.put(instance("a", "x", 1))
    catalog.put({"metadata": instance("a", "x", 2)["metadata"], "spec": {}})
    assert catalog.page("a", limit=9, offset=0) == ([], 0)
    catalog.put(instance("a", "x", 3))
    assert catalog.page("a", limit=9, offset=0)[1] == 1


def test_a_time_before_all_times_ends_no_watch() -> None:
    """Whoever may annotate an instance may write any time, also one that is before the year 1 in UTC."""
    catalog = AgentCatalog()
    for number, text in enumerate(
        ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01", "x"), start=1
    ):
        body = instance("a", "x", number)
        body["metadata"]["annotations"] |= {names.ANNOTATION_CREATED_AT: text, names.ANNOTATION_UPDATED_AT: text}
        catalog.put(body)
        [agent], _ = catalog.page("a", limit=9, offset=0)
        assert agent.created_at == agent.updated_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_of_two_objects_with_one_id_the_older_counts() -> None:
    catalog, copy = AgentCatalog(), instance("a", "y", 9, second=5, uid="v")
    original = instance("a", "x", 1, second=1)
    copy["metadata"]["labels"] = original["metadata"]["labels"]
    catalog.put(copy)
    catalog.put(original)
    found = catalog.find("a", original["metadata"]["labels"][names.LABEL_ID])
    assert found is not None
    assert found.name == "x"
    catalog.remove(("a", "x"))
    found = catalog.find("a", original["metadata"]["labels"][names.LABEL_ID])
    assert found is not None
    assert found.name == "y"


async def test_a_change_is_settled_once_the_operator_has_carried_it_out() -> None:
    catalog = AgentCatalog()
    body = instance("a", "x", 3, observed=2)
    catalog.put(body)
    waiting = asyncio.create_task(catalog.settled(Agent.of(body), 60))
    await asyncio.sleep(0)
    catalog.put(instance("a", "x", 4, observed=2))
    await asyncio.sleep(0)
    assert not waiting.done()
    catalog.put(instance("a", "x", 5, observed=3))
    await asyncio.wait_for(waiting, 60)


async def test_nobody_waits_for_an_agent_that_is_gone_or_an_operator_that_is_away() -> None:
    catalog = AgentCatalog()
    agent = Agent.of(instance("a", "x", 1))
    catalog.put(instance("a", "x", 1))
    await catalog.settled(agent, 0.01)
    waiting = asyncio.create_task(catalog.settled(agent, 60))
    await asyncio.sleep(0)
    catalog.remove(("a", "x"))
    await asyncio.wait_for(waiting, 60)


def test_a_long_prompt_is_kept_compressed() -> None:
    body = instance("a", "x", 1)
    body["spec"]["memory"] = {"systemPrompt": "Sei höflich. " * 4000}
    agent = Agent.of(body)
    assert agent.prompt == body["spec"]["memory"]["systemPrompt"]
    assert isinstance(agent._prompt, bytes)
    assert len(agent._prompt) < 1000

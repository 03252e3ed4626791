"""Two tenants that do anything with all ids that there are, also with each other's: neither sees anything of the other's."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.conftest import eventually
from tests.integration.platform.agent_calls import created, tried
from tests.integration.platform.conftest import NAMESPACE, OTHER_NAMESPACE, OTHER_TENANT, TENANT, Platform, serving
from tests.strategies import kubernetes_objects as objects
from tests.strategies.examples import FEW

from sympozium_api.rate_limit import CallRate
from sympozium_api.resources import INSTANCES, Object
from sympozium_archive.database import Database
from sympozium_platform.platform_settings import PlatformSettings

NAMESPACES = {TENANT: NAMESPACE, OTHER_TENANT: OTHER_NAMESPACE}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
STEPS = st.tuples(
    st.sampled_from(list(NAMESPACES)),
    st.sampled_from(["create", "change", "publish", "delete", "read"]),
    st.integers(0, 5),
    NAMES,
)


@pytest.fixture
async def unlimited(tmp_path: Path) -> AsyncIterator[Platform]:
    """A console that counts no requests."""
    database, many = await Database.open_scratch(str(tmp_path / "index.db")), CallRate(10**6, 60)
    settings = PlatformSettings(default_rate=many, runs_rate=many)
    async with serving(tmp_path, database, settings) as platform:
        yield platform
    await database.close()


def remove_all(kubernetes: FakeKubernetes) -> None:
    for name in kubernetes.names(INSTANCES):
        for namespace in NAMESPACES.values():
            if (INSTANCES.plural, namespace, name) in kubernetes.objects:
                kubernetes.remove(INSTANCES, name, namespace)


@dataclass
class World:
    """What each tenant has to see."""

    platform: Platform
    tokens: dict[str, str]
    agents: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {tenant: {} for tenant in NAMESPACES})
    """Answers about agents by tenant and id."""
    ids: list[str] = field(default_factory=list)
    """Ids of all agents there ever were."""

    async def do(self, tenant: str, action: str, index: int, name: str) -> None:
        """Let a tenant do something with its own agent, or with another tenant's."""
        token, own = self.tokens[tenant], self.agents[tenant]
        if action == "create" or not self.ids:
            agent = await created(self.platform, token=token, name=name)
            assert agent["tenant_id"] == tenant
            own[agent["id"]] = agent
            self.ids.append(agent["id"])
            return
        agent_id = self.ids[index % len(self.ids)]
        method, path, body = {
            "change": ("PUT", f"/agents/{agent_id}", {"json": {"name": name}}),
            "publish": ("POST", f"/agents/{agent_id}/publish", {}),
            "delete": ("DELETE", f"/agents/{agent_id}", {}),
            "read": ("GET", f"/agents/{agent_id}", {}),
        }[action]
        answer = await self.platform.request(method, path, token=token, **body)
        if agent_id not in own:
            assert answer.status_code == 404, answer.text
        elif action == "delete":
            assert answer.status_code == 204, answer.text
            del own[agent_id]
        else:
            assert answer.status_code == 200, answer.text
            own[agent_id] = answer.json()

    async def check(self) -> None:
        """Compare what each tenant sees with what it did."""
        for tenant, token in self.tokens.items():
            listed = {agent["id"]: agent for agent in await tried(self.platform, "GET", "/agents", token=token)}
            assert listed == self.agents[tenant]


@FEW
@given(st.lists(STEPS, max_size=12))
async def test_neither_tenant_sees_an_agent_of_the_other(
    unlimited: Platform, steps: list[tuple[str, str, int, str]]
) -> None:
    remove_all(unlimited.kubernetes)
    catalog = unlimited.context.agents.catalog
    await eventually(lambda: not any(catalog.page(n, limit=1, offset=0)[1] for n in NAMESPACES.values()))
    tokens = {tenant: unlimited.signed(tenant_id=tenant) for tenant in NAMESPACES}
    world = World(unlimited, tokens)
    for step in steps:
        await world.do(*step)
    await world.check()


@FEW
@given(st.lists(objects.instances(NAMESPACE), min_size=1, max_size=4))
async def test_every_route_answers_beside_instances_of_any_shape(unlimited: Platform, bodies: list[Object]) -> None:
    remove_all(unlimited.kubernetes)
    for body in bodies:
        body["metadata"]["uid"] = str(uuid.uuid4())
        unlimited.kubernetes.put(body)
    catalog = unlimited.context.agents.catalog
    good = await created(unlimited, name="good")
    agents = await tried(unlimited, "GET", "/agents")
    assert good["id"] in {agent["id"] for agent in agents}
    assert catalog.page(NAMESPACE, limit=1, offset=0)[1] >= 1
    for agent in agents:
        answers = [
            await unlimited.request("GET", f"/agents/{agent['id']}"),
            await unlimited.request("PUT", f"/agents/{agent['id']}", json={"name": "new", "system_prompt": "x"}),
            await unlimited.request("POST", f"/agents/{agent['id']}/publish"),
            await unlimited.request("DELETE", f"/agents/{agent['id']}"),
        ]
        assert {answer.status_code for answer in answers} <= {200, 204, 404, 422}, [a.text for a in answers]

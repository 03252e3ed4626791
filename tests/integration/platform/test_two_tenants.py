"""Two tenants that do anything with all ids that there are, also with each other's: neither sees anything of the other's."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.kubernetes import KINDS, FakeKubernetes
from tests.fakes.tool_operator import reconcile_tools
from tests.integration.conftest import eventually
from tests.integration.platform.agent_calls import created, tried
from tests.integration.platform.conftest import NAMESPACE, OTHER_NAMESPACE, OTHER_TENANT, TENANT, Platform, serving
from tests.strategies import kubernetes_objects as objects
from tests.strategies.examples import FEW

from sympozium_api.rate_limit import CallRate
from sympozium_api.resources import INSTANCES, RUNS, TOOL_BINDINGS, TOOLS, Object
from sympozium_archive.database import Database
from sympozium_platform.platform_settings import PlatformSettings

NAMESPACES = {TENANT: NAMESPACE, OTHER_TENANT: OTHER_NAMESPACE}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ACTIONS = {
    "agent": ("create", "change", "publish", "delete", "read"),
    "tool": ("create", "change", "delete", "read"),
    "binding": ("create", "delete", "list"),
    "key": ("create", "delete"),
    "run": ("create", "read"),
}
STEPS = st.tuples(
    st.sampled_from(list(NAMESPACES)),
    st.sampled_from([(kind, action) for kind, actions in ACTIONS.items() for action in actions]),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    NAMES,
)
TOOL = {"input_schema": {"type": "object"}, "execution_type": "internal"}


@pytest.fixture
async def unlimited(tmp_path: Path) -> AsyncIterator[Platform]:
    """A console that counts no requests."""
    database, many = await Database.open_scratch(str(tmp_path / "index.db")), CallRate(10**6, 60)
    settings = PlatformSettings(default_rate=many, runs_rate=many)
    async with serving(tmp_path, database, settings) as platform:
        operator = asyncio.create_task(reconcile_tools(platform.kubernetes, platform.clock))
        yield platform
        operator.cancel()
        await asyncio.gather(operator, return_exceptions=True)
    await database.close()


def remove_all(kubernetes: FakeKubernetes) -> None:
    for plural, namespace, name in list(kubernetes.objects):
        if namespace in NAMESPACES.values() and (plural, namespace, name) in kubernetes.objects:
            kind = next((kind for kind in KINDS if kind.plural == plural), None)
            if kind in (INSTANCES, TOOLS, TOOL_BINDINGS, RUNS):
                kubernetes.remove(kind, name, namespace)


@dataclass
class World:
    """What each tenant has to see."""

    platform: Platform
    tokens: dict[str, str]
    own: dict[str, dict[str, set[str]]]
    """Ids by tenant and kind. A binding's is those of its agent and its tool."""
    ids: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in ACTIONS})
    """Ids of all objects there ever were, by kind."""
    revoked: dict[str, str] = field(default_factory=dict)
    """Tenants by the ids of their revoked keys, which may be revoked again."""

    async def do(self, tenant: str, kind: str, action: str, index: tuple[int, int], name: str) -> None:
        """Let a tenant do something with its own object, or with another tenant's."""
        if kind == "binding":
            await self._bind(tenant, action, index)
        elif kind == "run" and (action == "create" or not self.ids["run"]):
            await self._start(tenant, index, name)
        elif action == "create" or not self.ids[kind]:
            await self._create(tenant, kind, name)
        else:
            wanted = self.ids[kind][index[0] % len(self.ids[kind])]
            await self._try(tenant, kind, action, wanted, name)

    async def _create(self, tenant: str, kind: str, name: str) -> None:
        path, body = {
            "agent": ("/agents", {"name": name, "status": "published" if len(name) > 3 else "draft"}),
            "tool": ("/tools", TOOL | {"name": name}),
            "key": ("/api-keys", {"scopes": ["tools:read"]}),
        }[kind]
        answer = await self.request(tenant, "POST", path, body)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert made["tenant_id"] == tenant
        self.own[tenant][kind].add(made["id"])
        self.ids[kind].append(made["id"])

    async def _start(self, tenant: str, index: tuple[int, int], name: str) -> None:
        if not self.ids["agent"]:
            await self._create(tenant, "agent", name)
        agent = self.ids["agent"][index[0] % len(self.ids["agent"])]
        body = {"agent_id": agent, "input_message": name}
        answer = await self.request(tenant, "POST", "/runs", body, {"Prefer": "respond-async"})
        if agent not in self.own[tenant]["agent"]:
            assert answer.status_code == 404, answer.text
        elif answer.status_code != 409:  # the agent was published
            assert answer.status_code == 202, answer.text
            self.own[tenant]["run"].add(answer.json()["id"])
            self.ids["run"].append(answer.json()["id"])

    async def _try(self, tenant: str, kind: str, action: str, wanted: str, name: str) -> None:
        path = f"/{'api-keys' if kind == 'key' else f'{kind}s'}/{wanted}"
        method, path, body = {
            "change": ("PUT", path, {"name": name}),
            "publish": ("POST", f"{path}/publish", None),
            "delete": ("DELETE", path, None),
            "read": ("GET", path, None),
        }[action]
        answer = await self.request(tenant, method, path, body)
        own = self.own[tenant][kind]
        if wanted not in own:
            assert answer.status_code == (204 if self.revoked.get(wanted) == tenant else 404), answer.text
        elif action == "delete":
            assert answer.status_code == 204, answer.text
            own.remove(wanted)
            self.revoked |= {wanted: tenant} if kind == "key" else {}
            bindings = self.own[tenant]["binding"]
            bindings -= {pair for pair in bindings if wanted in pair.split()}
        else:
            assert answer.status_code == 200, answer.text
            assert (answer.json()["id"], answer.json()["tenant_id"]) == (wanted, tenant)

    async def _bind(self, tenant: str, action: str, index: tuple[int, int]) -> None:
        for kind in ("agent", "tool"):
            if not self.ids[kind]:
                await self._create(tenant, kind, kind)
        agent, tool = (ids[n % len(ids)] for ids, n in zip((self.ids["agent"], self.ids["tool"]), index, strict=True))
        own, pair = self.own[tenant], f"{agent} {tool}"
        path = f"/agents/{agent}/tools" if action == "list" else f"/agents/{agent}/tools/{tool}"
        method = {"create": "POST", "delete": "DELETE", "list": "GET"}[action]
        answer = await self.request(tenant, method, path, {} if action == "create" else None)
        if agent not in own["agent"] or (action != "list" and tool not in own["tool"]):
            assert answer.status_code == 404, answer.text
        elif action == "create":
            assert answer.status_code == 201, answer.text
            own["binding"].add(pair)
        elif action == "delete":
            assert answer.status_code == (204 if pair in own["binding"] else 404), answer.text
            own["binding"].discard(pair)
        else:
            self._check_bound(tenant, agent, answer)

    async def request(
        self, tenant: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """The answer that a tenant gets."""
        token = self.tokens[tenant]
        return await self.platform.request(method, path, token=token, json=body, headers=headers or {})

    async def check(self) -> None:
        """Compare what each tenant sees with what it did."""
        for tenant, own in self.own.items():
            for kind, path in (("agent", "/agents"), ("tool", "/tools"), ("key", "/api-keys")):
                answer = await self.request(tenant, "GET", f"{path}?limit=200")
                assert answer.status_code == 200
                assert {shown["id"] for shown in answer.json()} == own[kind]
                assert {shown["tenant_id"] for shown in answer.json()} <= {tenant}
            runs = (await self.request(tenant, "GET", "/runs?limit=200")).json()
            shown = {run["id"] for run in runs if run["agent_id"] in self.ids["agent"]}
            assert shown <= own["run"]  # the index may be a moment behind, and still have runs of the example before
            for agent in own["agent"]:
                self._check_bound(tenant, agent, await self.request(tenant, "GET", f"/agents/{agent}/tools"))

    def _check_bound(self, tenant: str, agent: str, answer: httpx2.Response) -> None:
        assert answer.status_code == 200, answer.text
        bound = {f"{binding['agent_id']} {binding['tool_id']}" for binding in answer.json()}
        assert bound == {pair for pair in self.own[tenant]["binding"] if pair.startswith(agent)}


@FEW
@given(st.lists(STEPS, max_size=15))
async def test_neither_tenant_sees_an_object_of_the_other(
    unlimited: Platform, steps: list[tuple[str, tuple[str, str], tuple[int, int], str]]
) -> None:
    remove_all(unlimited.kubernetes)
    catalog = unlimited.context.agents.catalog
    await eventually(lambda: not any(catalog.page(n, limit=1, offset=0)[1] for n in NAMESPACES.values()))
    user = f"user-{uuid.uuid4()}"  # keys of users are not deleted
    tokens = {tenant: unlimited.signed(tenant_id=tenant, sub=user) for tenant in NAMESPACES}
    world = World(unlimited, tokens, {tenant: {kind: set() for kind in ACTIONS} for tenant in NAMESPACES})
    for tenant, (kind, action), index, name in steps:
        await world.do(tenant, kind, action, index, name)
    await world.check()


@FEW
@given(st.lists(objects.instances(NAMESPACE), min_size=1, max_size=2))
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

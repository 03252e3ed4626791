"""Random requests of two tenants: what one has, the other neither sees nor changes, and a foreign id is no other than an unknown one."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.platform.tenants import PATHS, Tenant, two_tenants

from sympozium_archive.database import Database

STEPS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["make", "bind", "list", "touch", "delete"]), st.integers(0, 10**6)),
    min_size=10,
    max_size=25,
)
"""Which tenant does what, and a number that chooses the rest."""
ROUTES = (
    *(("GET", "/agents/{agents}"), ("PUT", "/agents/{agents}"), ("DELETE", "/agents/{agents}")),
    *(("POST", "/agents/{agents}/publish"), ("GET", "/agents/{agents}/tools")),
    *(("POST", "/agents/{agents}/tools/{tools}"), ("DELETE", "/agents/{agents}/tools/{tools}")),
    *(("GET", "/tools/{tools}"), ("PUT", "/tools/{tools}"), ("DELETE", "/tools/{tools}")),
    *(("GET", "/runs/{runs}"), ("DELETE", "/api-keys/{api-keys}")),
)
BODIES = {
    ("PUT", "/agents/{agents}"): {"name": "taken over"},
    ("PUT", "/tools/{tools}"): {"name": "taken over"},
    ("POST", "/agents/{agents}/tools/{tools}"): {"permission_scope": "read", "allowed_domains": ["example.com"]},
}
LISTS = ("/agents", "/tools", "/runs", "/api-keys?include_revoked=true", "/audit?limit=200")


pytestmark = pytest.mark.parametrize("database_settings", ["sqlite"], indirect=True)


@pytest.fixture
async def tenants(tmp_path: Path, database: Database) -> AsyncIterator[tuple[Tenant, Tenant]]:
    async with two_tenants(database, tmp_path) as (_, first, second):
        yield first, second


async def test_no_request_of_a_tenant_reaches_what_another_has(tenants: tuple[Tenant, Tenant]) -> None:
    def fuzz() -> None:
        for tenant in tenants:
            tenant.settles()

        @settings(max_examples=4)
        @given(STEPS)
        def steps(chosen: list[tuple[bool, str, int]]) -> None:
            for is_first, action, number in chosen:
                own, other = tenants if is_first else reversed(tenants)
                does(own, other, action, number)

        steps()
        for own, other in (tenants, tenants[::-1]):
            for path in LISTS:
                sees_its_own(own, other, path)
            every_foreign_id_is_unknown(own, other)

    await asyncio.to_thread(fuzz)


def does(own: Tenant, other: Tenant, action: str, number: int) -> None:
    match action:
        case "make":
            word = list(PATHS)[number % len(PATHS)]
            {"agents": own.agent, "tools": own.tool, "api-keys": own.key}.get(word, lambda: own.run(own.agent()))()
        case "bind":
            own.binds(own.agent(), own.tool())
        case "list":
            sees_its_own(own, other, LISTS[number % len(LISTS)])
        case "touch":
            touches_a_foreign_object(own, other, number)
        case "delete":
            word = ("agents", "tools", "api-keys")[number % 3]
            if len(own.ids[word]) > 1:
                answer = own.asks("DELETE", f"{PATHS[word]}/{own.ids[word].pop()}")
                assert answer.status_code == 204, answer.text


def sees_its_own(own: Tenant, other: Tenant, path: str) -> None:
    """The audit has a foreign id only where the tenant itself named it, and was refused."""
    answer = own.asks("GET", path)
    assert answer.status_code == 200, answer.text
    assert f"of {other.name}" not in answer.text
    assert f"{other.name}.example.com" not in answer.text
    shown = [one for one in answer.json() if one.get("status") != "refused"]
    assert not [foreign for foreign in other.made if foreign in json.dumps(shown)]


def touches_a_foreign_object(own: Tenant, other: Tenant, number: int) -> None:
    """At least one of the ids in the path is the other tenant's."""
    method, route = ROUTES[number % len(ROUTES)]
    holders = [other if number // 7 % 2 else own, other]
    if "{tools}" not in route or "{agents}" not in route:
        holders = [other, other]
    agents, tools = holders if number // 13 % 2 else reversed(holders)
    chosen = {word: (agents if word == "agents" else tools).ids[word][-1] for word in ("agents", "tools")}
    chosen |= {word: other.ids[word][-1] for word in ("runs", "api-keys")}
    answer = own.asks(method, route.format(**chosen), BODIES.get((method, route)))
    assert answer.status_code == 404, f"{method} {route}: {answer.status_code} {answer.text}"
    unknown = own.asks(method, route.format(**dict.fromkeys(chosen, str(uuid.uuid4()))), BODIES.get((method, route)))
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == answer.json()["error"]["code"]


def every_foreign_id_is_unknown(own: Tenant, other: Tenant) -> None:
    for word, path in PATHS.items():
        for foreign in other.ids[word][-5:]:
            answer = own.asks("DELETE" if word == "api-keys" else "GET", f"{path}/{foreign}")
            assert answer.status_code == 404, f"{word}: {answer.status_code}"
            still_there = other.asks("GET", path if word == "api-keys" else f"{path}/{foreign}")
            assert still_there.status_code == 200, f"{word}: {still_there.text}"
            assert foreign in still_there.text or "x-total-count" in still_there.headers
    assert "taken over" not in "".join(other.asks("GET", path).text for path in ("/agents", "/tools"))
    for foreign in list(other.made)[:20]:
        entries = own.asks("GET", f"/audit?resource_id={foreign}").json()
        assert {entry["status"] for entry in entries} <= {"refused"}
    body = {"agent_id": other.ids["agents"][0], "input_message": "hello"}
    for path in ("/runs", "/runs/stream"):
        assert own.asks("POST", path, body).status_code == 404

"""Requests that the OpenAPI describes, right and wrong: none is answered by 5xx, and every refusal has the shape of all."""

import asyncio
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import schemathesis.specs.openapi.schemas  # its loader imports this late, where Python 3.11 may fail to compile (AST recursion depth)
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from tests.integration.platform.conftest import Platform
from tests.integration.platform.tenants import ASYNC, Tenant, two_tenants

from sympozium_archive.database import Database

EXAMPLES = 100
OPEN = {"/health", "/health/db", "/auth/token", "/auth/test-token"}
"""Routes that need no token."""
_PARAMETER = re.compile(r"/([a-z-]+)/{(\w+)}")


def operations(document: dict[str, Any]) -> list[Any]:
    schema = schemathesis.openapi.from_dict(document)
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def with_known_ids(case: Case[Any], tenant: Tenant) -> str:
    """Return the path of a case, with the newest id of each kind in the places of ids."""
    known = {name: tenant.ids[word][-1] for word, name in _PARAMETER.findall(case.path)}
    return case.path.format(**known)


@pytest.mark.parametrize("database_settings", ["sqlite"], indirect=True)
async def test_no_documented_request_is_answered_by_an_error_of_the_servers(tmp_path: Path, database: Database) -> None:
    async with two_tenants(database, tmp_path) as (platform, tenant, _):
        document = (await platform.request("GET", "/openapi.json")).json()
        await asyncio.to_thread(fuzz, platform.url, document, tenant)


def fuzz(url: str, document: dict[str, Any], tenant: Tenant) -> None:
    tenant.settles()
    session, found = requests.Session(), operations(document)
    cases = st.one_of([one.as_strategy(generation_mode=mode) for one in found for mode in GenerationMode])

    @settings(max_examples=EXAMPLES)
    @given(cases, st.booleans())
    def send(case: Case[Any], knows_ids: bool) -> None:
        options = case.as_transport_kwargs(base_url=url)
        if knows_ids and "{" in case.path:
            options["url"] = url + with_known_ids(case, tenant)
        token = {} if case.path in OPEN else {"Authorization": tenant.http.headers["Authorization"]}
        options["headers"] = dict(options["headers"] or {}) | ASYNC | token
        prepared = session.prepare_request(requests.Request(**options))
        with session.send(prepared, stream=True, timeout=60) as answer:
            assert answer.status_code < 500, f"{case.method} {case.path}: {answer.text}"
            if answer.status_code >= 400:
                assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
        replace_what_is_gone(tenant, case, answer)

    send()
    session.close()


def replace_what_is_gone(tenant: Tenant, case: Case[Any], answer: requests.Response) -> None:
    """Make another object for one that the request deleted."""
    if (case.method, answer.status_code) == ("DELETE", 204):
        makers = {"agents": tenant.agent, "tools": tenant.tool, "api-keys": tenant.key}
        makers[case.path.split("/")[1]]()


async def test_the_openapi_has_every_route_and_who_may_call_it(platform: Platform) -> None:
    document = (await platform.request("GET", "/openapi.json", token="")).json()
    documented = {
        (method.upper(), re.sub(r"{\w+}", "{}", path)) for path, ways in document["paths"].items() for method in ways
    }
    assert documented == {
        *(("GET", path) for path in ("/health", "/health/db", "/auth/test-token", "/audit")),
        *(("POST", path) for path in ("/auth/token", "/agents/{}/publish", "/runs", "/runs/stream")),
        *((method, path) for method in ("GET", "POST") for path in ("/agents", "/tools", "/api-keys")),
        *((method, path) for method in ("GET", "PUT", "DELETE") for path in ("/agents/{}", "/tools/{}")),
        *((method, "/agents/{}/tools/{}") for method in ("POST", "DELETE")),
        *(("GET", path) for path in ("/agents/{}/tools", "/runs", "/runs/{}")),
        ("DELETE", "/api-keys/{}"),
    }
    for path, ways in document["paths"].items():
        for method, operation in ways.items():
            assert bool(operation.get("security")) == (path not in OPEN), f"{method} {path}"
            answer = await platform.request(method.upper(), re.sub(r"{\w+}", str(uuid.uuid4()), path), token="")
            assert (answer.status_code == 401) == (path not in {*OPEN} - {"/auth/token"}), f"{method} {path}"
    for page in ("/docs", "/redoc"):
        assert (await platform.request("GET", page, token="")).status_code == 200

"""Two tenants of one API, for tests that send many requests to it: hypothesis runs them in a thread beside the server's loop."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tests.fakes.tool_operator import reconcile_tools
from tests.integration.platform.conftest import NAMESPACE, OTHER_NAMESPACE, RETENTION, Platform, serving

from sympozium_api import names
from sympozium_api.rate_limit import CallRate
from sympozium_api.resources import Object
from sympozium_archive.database import Database
from sympozium_console.console_settings import ArchiveSettings
from sympozium_platform.platform_settings import PlatformSettings

MODEL = "local:tiny"
UNLIMITED = PlatformSettings(default_rate=CallRate(10**9, 60), runs_rate=CallRate(10**9, 60))
ASYNC = {"Prefer": "respond-async"}
"""Header of a run that is not waited for: these tests have no agent."""
PATHS = {"agents": "/agents", "tools": "/tools", "runs": "/runs", "api-keys": "/api-keys"}


def provider(namespace: str) -> Object:
    """The Provider of MODEL."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Provider",
        "metadata": {"name": "local", "namespace": namespace},
        "spec": {"type": "openai_compat", "apiBase": "http://model:8080/v1"},
    }


@dataclass
class Tenant:
    """One tenant with its objects: ids by the word of their path."""

    name: str
    http: httpx2.Client
    ids: dict[str, list[str]] = field(default_factory=lambda: {word: [] for word in PATHS})
    made: set[str] = field(default_factory=set)
    """All ids that it ever had."""

    def asks(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        content = None if body is None else json.dumps(body)
        return self.http.request(method, path, headers=ASYNC, content=content)

    def makes(self, word: str, body: Any) -> str:
        """The id of a new object."""
        answer = self.asks("POST", PATHS[word], body)
        assert answer.status_code in (201, 202), answer.text
        made = str(answer.json()["id"])
        self.ids[word].append(made)
        self.made.add(made)
        return made

    def agent(self) -> str:
        body = {"name": f"agent of {self.name}", "system_prompt": f"prompt of {self.name}"}
        return self.makes("agents", body | {"model": MODEL, "status": "published"})

    def tool(self) -> str:
        url = f"https://{self.name}.example.com/"
        body = {"name": f"tool of {self.name}", "execution_type": "http_webhook", "endpoint": url}
        return self.makes("tools", body | {"input_schema": {"type": "object"}})

    def run(self, agent: str) -> str:
        return self.makes("runs", {"agent_id": agent, "input_message": f"question of {self.name}"})

    def key(self) -> str:
        return self.makes("api-keys", {"scopes": ["tools:read"]})

    def binds(self, agent: str, tool: str) -> None:
        body = {"permission_scope": "read", "allowed_domains": [f"{self.name}.example.com"]}
        assert self.asks("POST", f"/agents/{agent}/tools/{tool}", body).status_code == 201

    def settles(self) -> "Tenant":
        """Make one object of each kind."""
        agent, tool = self.agent(), self.tool()
        self.binds(agent, tool)
        self.run(agent)
        self.key()
        return self


@asynccontextmanager
async def two_tenants(database: Database, folder: Path) -> AsyncIterator[tuple[Platform, Tenant, Tenant]]:
    """A console with an archive and without limits, the operator of tools, and two tenants without objects."""
    archive = ArchiveSettings(database.settings, RETENTION)
    async with serving(folder, database, UNLIMITED, archive=archive) as platform:
        operator = asyncio.create_task(reconcile_tools(platform.kubernetes, platform.clock))
        first, second = await _tenants(platform)
        yield platform, first, second
        first.http.close()
        second.http.close()
        operator.cancel()
        await asyncio.gather(operator, return_exceptions=True)


async def _tenants(platform: Platform) -> tuple[Tenant, Tenant]:
    for namespace in (NAMESPACE, OTHER_NAMESPACE):
        platform.kubernetes.put(provider(namespace))
    tokens = {namespace: await platform.token(namespace=namespace) for namespace in (NAMESPACE, OTHER_NAMESPACE)}
    first, second = (
        Tenant(
            namespace,
            httpx2.Client(base_url=platform.url, timeout=60, headers={"Authorization": f"Bearer {token}"}),
        )
        for namespace, token in tokens.items()
    )
    return first, second

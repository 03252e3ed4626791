"""A console with the agent platform on a real socket, in front of an in-memory API server, with two tenants and their keys."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from tests.fakes.callers import namespace_object
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import FakePod, TokenIssuer, created_run
from tests.fakes.settling import settle_instances
from tests.integration.conftest import eventually, listening

from sympozium_api.names import LABEL_TENANT_ID
from sympozium_api.resources import NAMESPACES
from sympozium_api.retention import Retention
from sympozium_archive.database import Database
from sympozium_console.console_context import ConsoleContext, assemble
from sympozium_console.console_loops import supervised
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_platform import platform_context
from sympozium_console.console_settings import ArchiveSettings, ConsoleSettings
from sympozium_domain.callers.caller import admin
from sympozium_domain.callers.key_issuing import NewKey
from sympozium_platform.app import create_app
from sympozium_platform.platform_context import PlatformContext
from sympozium_platform.platform_settings import PlatformSettings

JWT_SECRET = "j" * 64
TENANT, NAMESPACE = "6b1f7c1e-9a53-4d0e-8c58-2f3f3b1d7a11", "acme"
OTHER_TENANT, OTHER_NAMESPACE = "0f8d2c3a-52a4-4f0b-9a57-5f6a4c1b2d22", "umbrella"
RETENTION = Retention(longest=86_400, shortest=3600, key=86_400, kept=1000, at_most=20_000, stored_bytes=2**28)
BOTH = ("tools:read", "tools:write")


@dataclass
class Platform:
    """One running console and its surroundings. ``http`` has the token of a user of TENANT with both scopes."""

    kubernetes: FakeKubernetes
    http: httpx2.AsyncClient
    url: str
    console: ConsoleContext
    context: PlatformContext
    clock: FakeClock
    surface: str
    """Base URL of the agent API."""
    issuer: TokenIssuer

    async def request(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx2.Response:
        """The answer to a request with another token; empty: with none."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}" if token else ""
        return await self.http.request(method, path, headers=headers, **options)

    async def key(
        self, *, scopes: tuple[str, ...] = BOTH, user: str = "ada", namespace: str = NAMESPACE, **more: Any
    ) -> str:
        """A new API key."""
        _, key = await self.context.callers.issuing.create(admin("t"), namespace, NewKey("k", user, scopes, **more))
        return key

    async def token(self, *scopes: str, user: str = "ada", namespace: str = NAMESPACE) -> str:
        """A token for a new API key, as its user gets it; without scopes: with both."""
        key = await self.key(scopes=scopes or BOTH, user=user, namespace=namespace)
        answer = await self.request("POST", "/auth/token", headers={"x-api-key": key})
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["token"]
        return token

    def signed(self, secret: str = JWT_SECRET, algorithm: str = "HS256", **claims: Any) -> str:
        """A token that others have signed with the secret. A claim that is None is missing."""
        own = {
            "sub": "ada",
            "tenant_id": TENANT,
            "scopes": list(BOTH),
            "iss": "agent-platform",
            "aud": "agent-platform",
        } | claims
        return jwt.encode({name: value for name, value in own.items() if value is not None}, secret, algorithm)

    async def pod(self, *, among: int = 1) -> FakePod:
        """The pod of the newest run, once there are that many runs."""
        return FakePod(await created_run(self.kubernetes, among=among), self.issuer, self.surface)


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """A console without an archive."""
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    async with serving(tmp_path, database) as platform:
        yield platform
    await database.close()


@pytest.fixture
async def archiving(tmp_path: Path, database: Database) -> AsyncIterator[Platform]:
    """A console with an archive, on each kind of database."""
    async with serving(tmp_path, database, archive=ArchiveSettings(database.settings, RETENTION)) as platform:
        yield platform


@asynccontextmanager
async def serving(
    folder: Path,
    database: Database,
    platform: PlatformSettings | None = None,
    kubernetes: FakeKubernetes | None = None,
    **others: Any,
) -> AsyncIterator[Platform]:
    """A console with its loops, whose settings may have ``others`` than these. Several may stand before one API server."""
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    (keys / "API_KEY_PEPPER").write_text("p" * 32)
    (keys / "JWT_SECRET").write_text(JWT_SECRET)
    (folder / "tokens").mkdir(exist_ok=True)
    kubernetes, clock = kubernetes or FakeKubernetes(), FakeClock()
    for namespace, tenant in ((NAMESPACE, TENANT), (OTHER_NAMESPACE, OTHER_TENANT)):
        if (NAMESPACES.plural, "default", namespace) not in kubernetes.objects:
            kubernetes.put(namespace_object(namespace, **{LABEL_TENANT_ID: tenant}))
            provider(kubernetes, namespace=namespace)
    issuer = TokenIssuer(kubernetes)
    settings = ConsoleSettings(
        "sympozium-system",
        pod_ip="127.0.0.1",
        tokens=folder / "tokens",
        keys=keys,
        max_body_bytes=64 * 1024,
        platform=replace(platform or PlatformSettings(), keys=keys),
        **others,
    )
    console = assemble(kubernetes, settings, clock, database, ConsoleMetrics())
    context = platform_context(console)
    agent_api = console.instance_runs.agent_api()
    assert agent_api is not None
    loops = [asyncio.create_task(loop()) for loop in supervised(console)]
    loops.append(asyncio.create_task(settle_instances(kubernetes)))
    watches = console.instance_runs.watches.values()
    await eventually(lambda: console.callers.keys.is_whole and all(watch.synced for watch in watches))
    async with (
        listening(agent_api) as surface,
        listening(create_app(context)) as url,
        httpx2.AsyncClient(base_url=url, timeout=60) as http,
    ):
        found = Platform(kubernetes, http, url, console, context, clock, surface, issuer)
        http.headers["Authorization"] = f"Bearer {await found.token()}"
        yield found
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


def provider(kubernetes: FakeKubernetes, name: str = "openai", namespace: str = NAMESPACE) -> None:
    """A Provider of a tenant."""
    spec = {"type": "openai_compat", "apiBase": "https://llm.example.com/v1"}
    kubernetes.put({"kind": "Provider", "metadata": {"name": name, "namespace": namespace}, "spec": spec})


def error(response: httpx2.Response, status: int, param: str | None = None) -> Mapping[str, Any]:
    """The refusal in an answer."""
    assert response.status_code == status, response.text
    [(name, refusal)] = response.json().items()
    assert name == "error"
    assert refusal.keys() == {"message", "type", "param", "code"}
    assert refusal["message"]
    assert refusal["param"] == param
    found: Mapping[str, Any] = refusal
    return found

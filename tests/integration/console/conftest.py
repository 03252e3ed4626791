"""A console on a real socket, in front of an in-memory API server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import FakePod, TokenIssuer, created_run
from tests.integration.conftest import eventually, instance, listening

from sympozium_api import names
from sympozium_api.resources import INSTANCES, Object
from sympozium_api.retention import Retention
from sympozium_archive.database import Database
from sympozium_console.console_app import create_app
from sympozium_console.console_context import ConsoleContext, assemble
from sympozium_console.console_loops import supervised
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_settings import ArchiveSettings, ConsoleSettings

DEMO = "/api/v1/instances/demo"
RETENTION = Retention(longest=86_400, shortest=3600, key=86_400, kept=1000, at_most=20_000, stored_bytes=2**28)
SPEC = {"agents": {"default": {"model": "m"}}}


@dataclass
class Console:
    """One running console and its surroundings."""

    kubernetes: FakeKubernetes
    http: httpx2.AsyncClient
    context: ConsoleContext
    clock: FakeClock
    tokens: Path
    surface: str
    """Base URL of the agent API."""
    issuer: TokenIssuer

    async def pod(self, *, among: int = 1) -> FakePod:
        """The pod of the newest run, once there are that many runs."""
        return FakePod(await created_run(self.kubernetes, among=among), self.issuer, self.surface)

    async def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        return await self.http.request(method, path, **options)

    def instance(self, name: str = "demo") -> Object:
        return self.kubernetes.object(INSTANCES, name)


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    """A console without an archive."""
    database = await Database.open_scratch(str(tmp_path / "index.db"))
    async with serving(tmp_path, database) as console:
        yield console
    await database.close()


@pytest.fixture
async def watching(console: Console) -> AsyncIterator[None]:
    """The console watches the open runs, as it has to before it starts one."""
    async with watched(console):
        yield


@asynccontextmanager
async def watched(*consoles: Console) -> AsyncIterator[None]:
    """Consoles watch the open runs."""
    watches = [watch for console in consoles for watch in console.context.instance_runs.watches.values()]
    running = [asyncio.create_task(watch.run()) for watch in watches]
    await eventually(lambda: all(watch.synced for watch in watches))
    yield
    await _cancelled(running)


@pytest.fixture
async def archiving(tmp_path: Path, database: Database) -> AsyncIterator[Console]:
    """A console with an archive, on each kind of database, with its loops."""
    archive = ArchiveSettings(database.settings, RETENTION)
    async with serving(tmp_path, database, archive) as console:
        loops = [asyncio.create_task(loop()) for loop in supervised(console.context)]
        yield console
        await _cancelled(loops)


async def _cancelled(loops: list[asyncio.Task[None]]) -> None:
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


@asynccontextmanager
async def serving(
    folder: Path,
    database: Database,
    archive: ArchiveSettings | None = None,
    *,
    kubernetes: FakeKubernetes | None = None,
    **others: Any,
) -> AsyncIterator[Console]:
    """A console whose settings may have ``others`` than these, in front of an API server that other replicas may share."""
    tokens = folder / "tokens"
    tokens.mkdir(exist_ok=True)
    (tokens / "token").write_text("secret\n")
    kubernetes, clock = kubernetes or FakeKubernetes(), FakeClock()
    issuer = TokenIssuer(kubernetes)
    kubernetes.put(instance())
    settings = ConsoleSettings(
        "sympozium-system",
        pod_ip="127.0.0.1",
        tokens=tokens,
        keys=folder / "keys",
        keep_alive_seconds=0.2,
        max_body_bytes=64 * 1024,
        archive=archive,
        **others,
    )
    context = assemble(kubernetes, settings, clock, database, ConsoleMetrics())
    agent_api = context.instance_runs.agent_api()
    assert agent_api is not None
    async with (
        listening(agent_api) as surface,
        listening(create_app(context)) as url,
        httpx2.AsyncClient(base_url=url, timeout=60, headers={"Authorization": "Bearer secret"}) as http,
    ):
        yield Console(kubernetes, http, context, clock, tokens, surface, issuer)


def run(name: str, *, instance: str = "demo", namespace: str = "default", phase: str = "", **spec: object) -> Object:
    status = {"status": {"phase": phase, "result": "Hello"}} if phase else {}
    labels = {names.LABEL_SOURCE: "web-proxy"} if name.startswith("w") else {}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "managedFields": [{"manager": "x"}]},
        "spec": {"agentRef": instance, "mode": "task", "request": {"messages": []}} | spec,
        **status,
    }


def error(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    refusal: dict[str, Any] = response.json()["error"]
    assert refusal.keys() == {"reason", "message", "fields", "code", "details"}
    assert refusal["message"]
    first = next(iter(refusal["fields"]), None)
    assert refusal["details"] == (first and {"field": first["field"], "reason": first["message"]})
    return refusal

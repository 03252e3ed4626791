"""A console that follows API keys, another replica of it, and calls with a key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
from tests.integration.conftest import eventually, listening
from tests.integration.console.conftest import Console

from sympozium_archive.database import Database
from sympozium_console.console_app import create_app
from sympozium_console.console_context import assemble
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_settings import ConsoleSettings

PATH = "/api/v1/api-keys"
PEPPER = "p" * 32
WISH = {"name": "ci", "user": "ada", "scopes": ["operator.read"]}


@asynccontextmanager
async def following(console: Console) -> AsyncIterator[None]:
    console.context.settings.keys.mkdir(exist_ok=True)
    (console.context.settings.keys / "API_KEY_PEPPER").write_text(PEPPER)
    console.clock.advance(2)
    keys = console.context.callers.keys
    loop = asyncio.create_task(console.context.callers.loops["keys"]())
    await eventually(lambda: keys.is_whole)
    yield
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


@asynccontextmanager
async def another_replica(console: Console, folder: Path) -> AsyncIterator[Console]:
    """Another replica in front of the same API server."""
    database = await Database.open_scratch(str(folder / "another.db"))
    settings = ConsoleSettings("sympozium-system", tokens=console.tokens, keys=console.context.settings.keys)
    context = assemble(console.kubernetes, settings, console.clock, database, ConsoleMetrics())
    async with (
        listening(create_app(context)) as url,
        httpx2.AsyncClient(base_url=url, timeout=60, headers={"Authorization": "Bearer secret"}) as http,
    ):
        other = replace(console, http=http, context=context)
        async with following(other):
            yield other
    await database.close()


async def made(console: Console, namespace: str = "default", **changes: Any) -> dict[str, Any]:
    answer = await console.request("POST", PATH, params={"namespace": namespace}, json=WISH | changes)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def ask(console: Console, key: str, path: str = "/api/v1/instances", method: str = "GET", **options: Any) -> Any:
    return await console.request(method, path, headers={"Authorization": f"Bearer {key}"}, **options)


def following_pepper(console: Console) -> Any:
    """Give a console whose loops run a pepper."""

    @asynccontextmanager
    async def pepper() -> AsyncIterator[None]:
        console.context.settings.keys.mkdir(exist_ok=True)
        (console.context.settings.keys / "API_KEY_PEPPER").write_text(PEPPER)
        console.clock.advance(2)
        await eventually(lambda: console.context.callers.keys.is_whole)
        yield

    return pepper()

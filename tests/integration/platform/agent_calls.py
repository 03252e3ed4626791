"""Calls of the routes of agents."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.integration.platform.conftest import Platform


async def created(platform: Platform, *, token: str | None = None, **fields: Any) -> dict[str, Any]:
    """A new agent."""
    answer = await platform.request("POST", "/agents", token=token, json=fields)
    assert answer.status_code == 201, answer.text
    agent: dict[str, Any] = answer.json()
    return agent


async def tried(platform: Platform, method: str, path: str, *, token: str | None = None, **fields: Any) -> Any:
    """The JSON of an answer 200."""
    body = fields if method == "PUT" else None
    answer = await platform.request(method, path, token=token, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition that takes calls holds."""
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.01)

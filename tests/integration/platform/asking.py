"""Callers of runs, as they ask and read."""

import asyncio
import json
from typing import Any

import httpx2
from tests.integration.platform.conftest import NAMESPACE, Platform

from sympozium_api.resources import RUNS, Object
from sympozium_archive.run_rows import RunRow
from sympozium_archive.tables import CONTENT_KEPT

ASYNC = {"Prefer": "respond-async"}


async def ask(platform: Platform, agent: str, text: str = "hi", **options: Any) -> httpx2.Response:
    body = {"agent_id": agent, "input_message": text} | options.pop("fields", {})
    return await platform.request("POST", options.pop("path", "/runs"), json=body, **options)


async def answered(platform: Platform, agent: str, text: str = "hi", words: str = "Hello", **options: Any) -> Any:
    """The answer to a message whose pod answers these words."""
    number = len(platform.kubernetes.names(RUNS)) + 1
    asking = asyncio.create_task(ask(platform, agent, text, **options))
    await (await platform.pod(among=number)).answer(words)
    response = await asking
    assert response.status_code == 200, response.text
    return response.json()


def stored(platform: Platform, run_id: str) -> Object:
    [found] = [
        body
        for (plural, _, _), body in platform.kubernetes.objects.items()
        if plural == RUNS.plural and body["metadata"]["uid"] == run_id
    ]
    return found


def events(response: httpx2.Response) -> list[tuple[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for frame in response.text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


async def pruned(platform: Platform, run: Any) -> RunRow:
    """The row of a run that the archive has, and Kubernetes has no more."""
    name = stored(platform, run["id"])["metadata"]["name"]
    async with asyncio.timeout(60):
        while (row := await platform.context.indexed_runs.run(run["id"])) is None or row.content_state != CONTENT_KEPT:
            await asyncio.sleep(0.01)
    await platform.kubernetes.delete(RUNS, NAMESPACE, name)
    return row

"""The exchanges of a streamed request and nothing else, in a process of its own: a run is created, watched, asked for, answered, ended.

What a web-proxy does beside them is its own share. ``python -m tests.bench.bare_exchanges PORT PORT`` is that process, in front of the
API server of ``KUBECONFIG``: a FastAPI route for callers, Starlette routes for pods, and aiohttp, without keys, limits, checks and logs.
"""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
import uvloop
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.bench.bare_stream import FRAMES

from sympozium_api import names

_RUNS = f"/apis/{names.API_VERSION}/namespaces/default/agentruns"
_PATCH = {"content-type": "application/merge-patch+json"}


class Exchanges:
    """Runs between their creation and their end, by name: the queue of each has the frames for its caller."""

    def __init__(self, api: aiohttp.ClientSession, port: int) -> None:
        self._api = api
        self._reply_to = f"http://127.0.0.1:{port}"
        self._frames: dict[str, asyncio.Queue[bytes]] = {}
        self.callers = FastAPI()
        self.callers.add_api_route("/v1/chat/completions", self.chat, methods=["POST"], response_model=None)
        self.callers.add_api_route("/readyz", _ready, methods=["GET"])
        self.pods = Starlette(
            routes=[
                Route("/runs/{name}/task", self.task, methods=["GET"]),
                Route("/runs/{name}/events", self.events, methods=["POST"]),
            ]
        )

    async def chat(self, request: Request) -> Response:
        """Create a run, and stream what its pod sends."""
        name = f"demo-{secrets.token_hex(6)}"
        metadata = {"name": name, "annotations": {names.ANNOTATION_REPLY_TO: self._reply_to}}
        spec = {"agentRef": "demo", "request": await request.json()}
        run = {"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": metadata, "spec": spec}
        self._frames[name] = asyncio.Queue()
        async with self._api.post(_RUNS, json=run) as response:
            await response.json()
        return StreamingResponse(self._stream(name), media_type="text/event-stream")

    async def _stream(self, name: str) -> AsyncIterator[bytes]:
        for _ in FRAMES:
            yield await self._frames[name].get()
        del self._frames[name]

    async def task(self, request: Request) -> Response:
        """Answer with a task."""
        return JSONResponse({"run": request.path_params["name"]})

    async def events(self, request: Request) -> Response:
        """Pass the records on, store the end, and acknowledge it."""
        frames = self._frames[request.path_params["name"]]
        for line in (await request.body()).splitlines():
            record = json.loads(line)
            if record["type"] == "done":
                await self._store(request.path_params["name"], record)
                frames.put_nowait(FRAMES[1])
            else:
                frames.put_nowait(_frame(record))
        return JSONResponse({"stored": True})

    async def _store(self, name: str, record: dict[str, Any]) -> None:
        status = {"phase": "Succeeded", "result": record["choices"][0]["message"]["content"]}
        async with self._api.patch(f"{_RUNS}/{name}/status", json={"status": status}, headers=_PATCH) as response:
            await response.json(content_type=None)

    async def watch(self) -> None:
        """Read the events of the runs that have not ended."""
        params = {"watch": "true", "resourceVersion": "0", "fieldSelector": "status.phase!=Succeeded"}
        async with self._api.get(_RUNS, params=params, timeout=aiohttp.ClientTimeout(total=None)) as response:
            async for chunk in response.content.iter_any():
                for line in chunk.splitlines():
                    with suppress(ValueError):  # a piece of a line
                        json.loads(line)


def _frame(record: dict[str, Any]) -> bytes:
    chunk = {"id": "chatcmpl-demo", "object": "chat.completion.chunk", "model": "m", "choices": record["choices"]}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


async def _ready() -> None:
    """Answer once the process serves."""


async def main(url: str, port: int, pods_port: int) -> None:
    """Serve both ports, in front of the API server at ``url``."""
    async with aiohttp.ClientSession(url) as api:
        exchanges = Exchanges(api, pods_port)
        await asyncio.gather(exchanges.watch(), _served(exchanges.callers, port), _served(exchanges.pods, pods_port))


async def _served(app: Starlette, port: int) -> None:
    config = uvicorn.Config(app, port=port, lifespan="off", access_log=False, log_config=None, timeout_keep_alive=600)
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    cluster = json.loads(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]
    uvloop.run(main(cluster["server"], int(sys.argv[1]), int(sys.argv[2])))

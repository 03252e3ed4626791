"""The API server in memory behind HTTP, for a web-proxy in a process of its own; and pods that answer every run at once.

``python -m tests.fakes.api_server FOLDER`` writes ``FOLDER/kubeconfig`` once it listens, and serves the instance ``demo`` until it is
ended. What its pods answer is four times of the machine's monotonic clock (``Stamps``), so that its own share of a request can be told.
"""

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from tests.fakes import tables
from tests.fakes.kubernetes import KINDS, FakeKubernetes
from tests.fakes.pod import TokenIssuer, delta, done

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable, ResourceType
from sympozium_api.client.collection import Reading
from sympozium_api.resources import RUNS, Object

INSTANCE: Object = {
    "apiVersion": names.API_VERSION,
    "kind": "SympoziumInstance",
    "metadata": {"name": "demo", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "skills": [{"skillPackRef": "web-endpoint"}],
        "webEndpoint": {"rateLimit": {"requestsPerMinute": 1_000_000, "burstSize": 1_000_000}},
        "maxQueuedRuns": 10_000,
    },
}
_METADATA = "as=PartialObjectMetadata"
"""Part of the media type of answers without spec and status."""
_KEPT = 50
"""Ended runs that can still be read."""


class Stamps(NamedTuple):
    """When a request was with this stand-in, in seconds of the machine's monotonic clock."""

    create_came: float
    agent_began: float
    task_came: float
    records_sent: float

    @property
    def share(self) -> float:
        """Seconds that the stand-in had the request."""
        return self.agent_began - self.create_came + self.records_sent - self.task_came


class Pods:
    """For each run an agent that calls no model."""

    def __init__(self, kubernetes: FakeKubernetes, issuer: TokenIssuer) -> None:
        self._kubernetes = kubernetes
        self._issuer = issuer
        self._running: set[asyncio.Task[None]] = set()
        self._ended: list[str] = []

    def start(self, run: Object, *, came: float) -> None:
        """Be the run's pod."""
        task = asyncio.create_task(self._answer(run, came))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, run: Object, came: float) -> None:
        name, notes = run["metadata"]["name"], run["metadata"]["annotations"]
        account = names.agent_service_account(run["spec"]["agentRef"])
        token = self._issuer.token(f"{names.job(name, run['metadata']['uid'])}-abcde", account)
        surface = urlsplit(notes[names.ANNOTATION_REPLY_TO])
        head = f"HTTP/1.1\r\nhost: {surface.netloc}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n"
        async with _connection(surface) as (reader, writer):
            began = time.monotonic()
            writer.write(f"GET /runs/{name}/task {head}\r\n".encode())
            answer = await reader.read()
        task_came = time.monotonic()
        if not answer.startswith(b"HTTP/1.1 200"):  # its caller has left
            self._forget(name)
            return
        async with _connection(surface) as (reader, writer):
            text = " ".join(map(str, Stamps(came, began, task_came, time.monotonic())))
            records = b"".join(json.dumps(record).encode() + b"\n" for record in (delta(text), done(text)))
            writer.write(f"POST /runs/{name}/events {head}content-length: {len(records)}\r\n\r\n".encode() + records)
            await reader.read()
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._ended.append(name)
        while len(self._ended) > _KEPT:
            oldest = self._ended.pop(0)
            if oldest in self._kubernetes.names(RUNS):
                self._kubernetes.remove(RUNS, oldest)


@asynccontextmanager
async def _connection(surface: SplitResult) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Plain sockets: what an HTTP client costs would be taken for the web-proxy's."""
    reader, writer = await asyncio.open_connection(surface.hostname, surface.port)
    try:
        yield reader, writer
    finally:
        writer.close()


class ApiServer:
    """The routes of objects and collections, and the few documents that the web-proxy reads."""

    def __init__(self, kubernetes: FakeKubernetes, pods: Pods | None = None) -> None:
        self._kubernetes = kubernetes
        self._pods = pods

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            route
            for objects in ("/apis/{group}/{version}", "/api/{version}")
            for route in self._of_objects(objects + "/namespaces/{namespace}/{plural}")
        ] + [
            Route("/apis/{group}/{version}/{plural}", self.collection, methods=["GET"]),
            Route("/api/{version}/{plural}", self.collection, methods=["GET"]),
            Route("/v1/embeddings", _embeddings, methods=["POST"]),
            Route("/{path:path}", self.document, methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers={ApiError: _refused, ApiUnavailable: _refused})

    def _of_objects(self, path: str) -> list[Route]:
        return [
            Route(path, self.collection, methods=["GET", "POST"]),
            Route(path + "/{name}", self.object, methods=["GET", "PATCH", "PUT", "DELETE"]),
            Route(path + "/{name}/{subresource}", self.object, methods=["PATCH"]),
        ]

    async def collection(self, request: Request) -> Response:
        """List, watch or create."""
        came, (kind, namespace) = time.monotonic(), _where(request)
        accept = request.headers.get("accept", "")
        metadata_only = _METADATA in accept
        if request.method == "POST":
            made = await self._kubernetes.create(kind, namespace, await request.json())
            if self._pods:
                self._pods.start(made, came=came)
            return JSONResponse({"metadata": made["metadata"]} if metadata_only else made, 201)
        if "watch" in request.query_params:
            return StreamingResponse(self._events(request), media_type="application/json")
        params = {name: value for name, value in request.query_params.items() if name != "resourceVersion"}
        found = await self._kubernetes.collection(kind, namespace, Reading(metadata_only=metadata_only), **params)
        if tables.AS_TABLE in accept:
            return JSONResponse(tables.of_collection(kind.plural, found))
        metadata = {"resourceVersion": found.resource_version, "continue": found.next_page}
        return JSONResponse({"items": found.items, "metadata": metadata})

    async def _events(self, request: Request) -> AsyncIterator[bytes]:
        accept = request.headers.get("accept", "")
        async with self._kubernetes.stream(
            request.url.path, request.query_params, silence=300, accept=accept
        ) as response:
            async for line in response.iter_any():
                yield line

    async def object(self, request: Request) -> Response:
        """Read, write or delete."""
        (kind, namespace), name = _where(request), request.path_params["name"]
        if request.method == "GET":
            return JSONResponse(await self._kubernetes.get(kind, namespace, name))
        part = request.path_params.get("subresource")
        metadata_only = _METADATA in request.headers.get("accept", "")
        change = await request.json()
        if request.method == "DELETE":
            wanted = change["preconditions"]
            version = wanted.get("resourceVersion")
            await self._kubernetes.delete(kind, namespace, name, uid=wanted.get("uid"), version=version)
            return JSONResponse({})
        if request.method == "PUT":
            return JSONResponse(await self._kubernetes.replace(kind, namespace, change))
        if "apply-patch" in request.headers["content-type"]:
            manager = request.query_params["fieldManager"]
            return JSONResponse(await self._kubernetes.apply(kind, namespace, change, field_manager=manager))
        patched = await self._kubernetes.patch(
            kind, namespace, name, change, subresource=part, metadata_only=metadata_only
        )
        return JSONResponse(patched)

    async def document(self, request: Request) -> Response:
        """Answer with a document that is not an object."""
        return JSONResponse(await self._kubernetes.raw(request.url.path))


async def _embeddings(_: Request) -> Response:
    """The model server of embeddings."""
    return JSONResponse(
        {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "embed"}
    )


def _where(request: Request) -> tuple[ResourceType, Any]:
    """Return the kind and the namespace in a path; None for all namespaces."""
    plural = request.path_params["plural"]
    return next(kind for kind in KINDS if kind.plural == plural), request.path_params.get("namespace")


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        return JSONResponse({"message": str(error)}, 503)
    return JSONResponse({"reason": error.reason, "message": error.message}, error.status)


def kubeconfig(url: str) -> dict[str, Any]:
    """A kubeconfig file that leads there."""
    return {
        "current-context": "fake",
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "fake", "user": {}}],
    }


async def main(folder: Path) -> None:
    """Serve until ended."""
    kubernetes = FakeKubernetes()
    server = ApiServer(kubernetes, Pods(kubernetes, TokenIssuer(kubernetes)))
    async with listening(server.app()) as own:
        kubernetes.put(instance_at(own))
        written = folder / "kubeconfig.new"
        written.write_text(json.dumps(kubeconfig(own)))
        written.rename(folder / "kubeconfig")
        await asyncio.Event().wait()


@asynccontextmanager
async def listening(app: Starlette) -> AsyncIterator[str]:
    """Serve an application on a free port of the loopback interface, and yield its URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_keep_alive=600)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            serving.cancel()
            for (
                served
            ) in server.servers:  # the loop would take the next socket with this number for the one that it knows
                served.close()


def instance_at(url: str) -> Object:
    """The instance, whose model server is at ``url`` too."""
    agent = {"model": "m", "baseURL": f"{url}/v1", "embeddingModels": ["embed"]}
    return INSTANCE | {"spec": INSTANCE["spec"] | {"agents": {"default": agent}}}


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))

"""The Kubernetes client over a real socket: what is read in pages, and what is sent once."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sympozium_api.client import ApiUnavailable, Client
from sympozium_api.client.auth import ApiConnection
from sympozium_api.resources import RUNS, Object


async def test_metadata_of_many_objects_comes_in_pages_and_without_what_nobody_reads() -> None:
    names = [f"run-{number}" for number in range(1200)]
    asked = []

    async def runs(request: web.Request) -> web.Response:
        first, limit = int(request.query.get("continue", "0")), int(request.query["limit"])
        asked.append(request.query["fieldSelector"])
        after = str(first + limit) if first + limit < len(names) else ""
        items = [{"metadata": {"name": name, "managedFields": [{}]}} for name in names[first : first + limit]]
        return web.json_response({"metadata": {"continue": after}, "items": items})

    app = web.Application()
    app.router.add_get(RUNS.path("default"), runs)
    async with TestServer(app) as server, Client.connect(ApiConnection(str(server.make_url("")), ssl=False)) as client:
        found = await client.metadata(RUNS, "default", fieldSelector="status.phase=Failed")

    assert found == [{"metadata": {"name": name}} for name in names]
    assert asked == ["status.phase=Failed"] * 3


async def test_pages_of_large_objects_are_smaller() -> None:
    """Annotations have up to 256 KiB, so 500 objects could have more than a process may take."""
    limits = []

    async def runs(request: web.Request) -> web.Response:
        first, limit = int(request.query.get("continue", "0")), int(request.query["limit"])
        limits.append(limit)
        numbers = range(first, min(first + limit, 60))
        note = {"note": "x" * 200_000}
        items = [{"metadata": {"name": f"run-{number}", "annotations": note}} for number in numbers]
        after = str(first + limit) if first + limit < 60 else ""
        return web.json_response({"metadata": {"continue": after}, "items": items})

    app = web.Application()
    app.router.add_get(RUNS.path("default"), runs)
    async with TestServer(app) as server, Client.connect(ApiConnection(str(server.make_url("")), ssl=False)) as client:
        found = await client.metadata(RUNS, "default")

    assert [item["metadata"]["name"] for item in found] == [f"run-{number}" for number in range(60)]
    assert limits == [500, 100, 20, 20, 20]


async def test_rows_are_metadata_with_the_columns_that_kubectl_shows() -> None:
    """In the form that Kubernetes 1.34 answers."""

    async def runs(request: web.Request) -> web.Response:
        assert request.headers["Accept"] == "application/json;as=Table;g=meta.k8s.io;v=v1"
        first = "continue" not in request.query
        row: Object = {"name": "a" if first else "b", "managedFields": [{}]}
        return web.json_response(
            {
                "metadata": {"continue": "1"} if first else {},
                "columnDefinitions": [{"name": "Name"}, {"name": "Answer bytes"}] if first else None,
                "rows": [{"cells": [row["name"], 5], "object": {"kind": "PartialObjectMetadata", "metadata": row}}],
            }
        )

    app = web.Application()
    app.router.add_get(RUNS.path("default"), runs)
    async with TestServer(app) as server, Client.connect(ApiConnection(str(server.make_url("")), ssl=False)) as client:
        found = await client.rows(RUNS, "default")

    assert found == [
        {"metadata": {"name": "a"}, "columns": {"Name": "a", "Answer bytes": 5}},
        {"metadata": {"name": "b"}, "columns": {"Name": "b", "Answer bytes": 5}},
    ]


@pytest.mark.parametrize("name", ["?limit=9", "..", "../../other/agentruns/x", "%2e%2e", "a b\r\n#"])
async def test_a_name_reaches_the_server_as_one_name(name: str) -> None:
    asked = []

    async def one(request: web.Request) -> web.Response:
        asked.append((request.match_info["name"], request.query_string))
        return web.json_response({"metadata": {}})

    app = web.Application()
    app.router.add_get("/apis/sympozium.ai/v1alpha1/namespaces/default/agentruns/{name:[^/]+|.*}", one)
    async with TestServer(app) as server, Client.connect(ApiConnection(str(server.make_url("")), ssl=False)) as client:
        await client.get(RUNS, "default", name)

    assert asked == [(name, "")]


async def test_a_write_whose_response_is_lost_is_not_sent_again() -> None:
    received = []

    async def read(_: web.Request) -> web.Response:
        return web.json_response({})

    async def write(request: web.Request) -> web.Response:
        received.append(await request.json())
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    app = web.Application()
    app.router.add_get(RUNS.path("default", "run"), read)
    app.router.add_post(RUNS.path("default"), write)
    async with TestServer(app) as server, Client.connect(ApiConnection(str(server.make_url("")), ssl=False)) as client:
        await client.get(RUNS, "default", "run")  # the connection is open, and the write uses it
        with pytest.raises(ApiUnavailable):
            await client.create(RUNS, "default", {"metadata": {"name": "run"}})

    assert len(received) == 1

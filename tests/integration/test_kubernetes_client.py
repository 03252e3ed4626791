"""The Kubernetes client over a real socket: what is read in pages."""

from aiohttp import web
from aiohttp.test_utils import TestServer

from sympozium_api.client import Client
from sympozium_api.client.auth import ApiConnection
from sympozium_api.resources import RUNS


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

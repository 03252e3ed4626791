"""Whatever a tenant stores, as far as the CRDs accept it: no loop of a web-proxy ends, and no route answers 500."""

import asyncio
import itertools
import json
from typing import Any

from hypothesis import given
from tests.fakes.pod import FakePod
from tests.integration.conftest import KEY, Proxy, eventually, instance
from tests.strategies import kubernetes_objects as objects
from tests.strategies.examples import FEW

from sympozium_api import names
from sympozium_api.resources import CONFIG_MAPS, INSTANCES, RUNS, Object

HEADERS = {"Authorization": f"Bearer {KEY}", "Accept": "application/json, text/event-stream"}
MODERN = {"MCP-Protocol-Version": "2026-07-28"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}
numbers = itertools.count()


def of_caller(run: Object) -> Object:
    """Return a run as one of this key and instance, so that the routes find it."""
    metadata = run["metadata"]
    annotations = metadata.get("annotations", {}) | {names.ANNOTATION_KEY_ID: "api-key"}
    annotations.pop(names.ANNOTATION_DISCARDED, None)
    labels = metadata.get("labels", {}) | {
        names.LABEL_INSTANCE: "demo",
        names.LABEL_KEY: names.key_hash("api-key"),
    }
    name = f"r{next(numbers)}"
    metadata = metadata | {"name": name, "uid": name, "annotations": annotations, "labels": labels}
    return run | {"metadata": metadata, "spec": run["spec"] | {"agentRef": "demo"}}


async def post(proxy: Proxy, method: str, **params: Any) -> int:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": META}}
    name = params.get("name") or params.get("uri") or params.get("taskId")
    headers = HEADERS | MODERN | {"Mcp-Method": method} | ({"Mcp-Name": name} if name else {})
    response = await proxy.http.post("/mcp", json=body, headers=headers)
    error = json.loads(response.content.partition(b"data: ")[2] or response.content).get("error", {})
    return 500 if response.status_code == 200 and error.get("code") == -32603 else response.status_code


@FEW
@given(objects.runs("default"), objects.runs("default"))
async def test_runs_of_any_shape(proxy: Proxy, mine: Object, other: Object) -> None:
    mine, marker = of_caller(mine), f"m{next(numbers)}"
    name = mine["metadata"]["name"]
    waiting = asyncio.create_task(follow(proxy, name))
    for run in (mine, of_caller(other), other):
        proxy.kubernetes.put(run)
    proxy.kubernetes.put(
        {
            "apiVersion": names.API_VERSION,
            "kind": "AgentRun",
            "metadata": {"name": marker, "namespace": "default"},
            "spec": {"agentRef": "demo", "task": "hello"},
        }
    )
    queues = proxy.context.runs._queues
    await eventually(lambda: ("default", marker) in queues)  # the watch has seen what came before
    response = f"/v1/responses/resp_{name}"
    statuses = [
        *[(await proxy.http.get(path, headers=HEADERS)).status_code for path in (response, f"{response}/input_items")],
        await post(proxy, "resources/list"),
        await post(proxy, "resources/read", uri=f"sympozium://runs/{name}"),
        await post(proxy, "tools/call", name="get_run", arguments={"run": name}),
        await post(proxy, "tasks/get", taskId=name),
        await continued(proxy, f"resp_{name}"),
        (await FakePod(mine, proxy.issuer, proxy.surface).task()).status_code,
    ]
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    if mine["status"].get("phase") in ("Succeeded", "Failed", "Cancelled"):
        statuses.append(await follow(proxy, name))
    assert 500 not in statuses, statuses
    for stored in proxy.kubernetes.names(RUNS):
        proxy.kubernetes.remove(RUNS, stored)


async def follow(proxy: Proxy, name: str) -> int:
    response = await proxy.http.get(f"/v1/responses/resp_{name}?stream=true", headers=HEADERS)
    return response.status_code


async def continued(proxy: Proxy, response: str) -> int:
    body = {"input": "more", "previous_response_id": response, "background": True}
    return (await proxy.http.post("/v1/responses", json=body, headers=HEADERS)).status_code


@FEW
@given(objects.instances("default", "demo"), objects.config_maps("default", names.installed_skills("demo")))
async def test_instances_and_skills_of_any_shape(proxy: Proxy, served: Object, skills: Object) -> None:
    own = instance() | {"metadata": {"name": "demo", "namespace": "default"}}
    for kind, body in ((INSTANCES, served), (CONFIG_MAPS, skills)):
        if body["metadata"]["name"] in proxy.kubernetes.names(kind):
            proxy.kubernetes.remove(kind, body["metadata"]["name"])
        proxy.kubernetes.put(body)
    models = await proxy.http.get("/v1/models", headers=HEADERS)
    statuses = [models.status_code, await post(proxy, "tools/list"), await post(proxy, "prompts/list")]
    assert 500 not in statuses, statuses
    proxy.kubernetes.remove(INSTANCES, "demo")
    proxy.kubernetes.put(own | {"spec": own["spec"] | {"title": f"number {next(numbers)}"}})
    title = proxy.kubernetes.object(INSTANCES, "demo")["spec"]["title"]
    cache = proxy.context.instance_cache
    await eventually(lambda: cache.instance is not None and cache.instance.spec.title == title)

"""``python -m tests.bench.console_warm``: the first token from a warm pool, of the web-proxy's requests and of the console's runs.

On a cluster, under ``$SYMPOZIUM_EXEC``. The pool is full before and is not refilled meanwhile. Requests are sent in turn, two a second.
A run of the console is two requests, as its callers make them: one that starts the run, and one that follows it.
"""

import argparse
import asyncio
import json
import logging
import secrets
import time
from collections import Counter
from contextlib import closing

import httpx2
from tests.bench.__main__ import agent_image
from tests.bench.machine import additions
from tests.bench.report import Figures, spread
from tests.bench.warm import SYSTEM, first_token, full, no_operator, prepare
from tests.e2e.conftest import Endpoint, Namespace
from tests.e2e.consoles import Console

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5


async def first_token_of_run(http: httpx2.AsyncClient, namespace: str) -> float:
    """Return the seconds from the request that starts a run to the first piece of its answer."""
    began, params = time.perf_counter(), {"namespace": namespace}
    made = await http.post("/api/v1/runs", params=params, json={"agentRef": "bench", "task": "hello"})
    made.raise_for_status()
    path = f"/api/v1/runs/{made.json()['metadata']['name']}/events"
    first = 0.0
    async with http.stream("GET", path, params=params | {"after": "0"}) as response:
        async for line in response.aiter_lines():
            if not first and line == "event: delta":
                first = time.perf_counter() - began
    assert first, "the run had no answer"
    return first


async def measured(endpoint: Endpoint, console: Console, samples: int) -> Figures:
    """Return the figures of so many requests at each."""
    proxys, consoles = list[float](), list[float]()
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {endpoint.key}"}, timeout=60) as proxy,
        httpx2.AsyncClient(base_url=console.url, headers=console.http.headers, timeout=60) as http,
    ):
        await proxy.get(f"{endpoint.url}/health")
        await http.get("/health")
        for _ in range(samples):
            seconds = await first_token(proxy, endpoint.url)
            assert seconds is not None
            proxys.append(seconds)
            await asyncio.sleep(PAUSE_SECONDS)
            consoles.append(await first_token_of_run(http, console.namespace))
            await asyncio.sleep(PAUSE_SECONDS)
    return {"web_proxy_s": spread(proxys), "console_s": spread(consoles)}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20, help="requests at each")
    samples = parser.parse_args().n
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    namespace = Namespace(f"bench-console-{secrets.token_hex(2)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    try:
        endpoint, console = prepare(namespace, agent_image(), 2 * samples), Console(SYSTEM, namespace.name)
        full(endpoint, 2 * samples)
        with no_operator(), closing(console.http):
            figures = asyncio.run(measured(endpoint, console, samples))
        starts = Counter(run.get("status", {}).get("start") for run in namespace.list("runs"))
        figures |= {"cold": starts["cold"], "million_additions_ms": round(1000 * additions(), 1)}
        log.info("%s", json.dumps(figures))
    finally:
        namespace.delete("namespace", namespace.name, "--wait=false")


if __name__ == "__main__":
    main()

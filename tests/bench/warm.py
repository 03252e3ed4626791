"""``python -m tests.bench.warm``: requests that are answered by a warm pool, against the scripted instant model.

Three parts: two requests a second that only use the pool up (the operator is away meanwhile), a burst of the whole pool, and
two a second with refill. Prints a table and writes ``.local/bench-warm.json``. Run under ``$SYMPOZIUM_EXEC``, where pods and
Services can be reached.
"""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from tests.bench import memory
from tests.bench.requests import BODY
from tests.e2e.conftest import Endpoint, Namespace, installed_with, instance, model_server, until

RESULTS = Path(".local/bench-warm.json")
LIMIT = {"requestsPerMinute": 1_000_000, "burstSize": 1_000_000}
SYSTEM = Namespace("sympozium-system")


def main() -> None:
    """Make a namespace with a full pool, measure, print, remove it."""
    parser = argparse.ArgumentParser(description="Measure warm runs.")
    parser.add_argument("--pool", type=int, default=40, help="idle pods")
    parser.add_argument("--sustained", type=int, default=120, help="requests of the part with refill")
    asked = parser.parse_args()
    image = SYSTEM.get("deployment", "sympozium-runs")["spec"]["template"]["spec"]["containers"][0]["image"]
    namespace = Namespace(f"bench-warm-{secrets.token_hex(2)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    try:
        with installed_with("agent.resources.requests.cpu=10m"):  # by requests, 40 pods fill a node of two cores
            figures = asyncio.run(measure(namespace, image, asked.pool, asked.sustained))
    finally:
        namespace.delete("namespace", namespace.name, "--wait=false")
    print(table(figures))  # noqa: T201 - what the command is for
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")


def prepare(namespace: Namespace, image: str, pool: int) -> Endpoint:
    """An instance without limits, with a pool of that size, in front of an instant model."""
    namespace.apply(
        *model_server(image),
        instance(
            "bench",
            model="slow:3:0",
            agent={"warmPool": {"size": pool, "idleTTL": "1h"}},
            skills=[{"skillPackRef": "web-endpoint"}],
            webEndpoint={"rateLimit": LIMIT},
            maxConcurrentRuns=pool,
        ),
    )
    namespace.kubectl("rollout", "status", "deployment/model", "--timeout=90s")
    return Endpoint(namespace, "bench").serves()


async def measure(namespace: Namespace, image: str, pool: int, sustained: int) -> dict[str, Any]:
    """All figures, the pool being full before each part."""
    endpoint = await asyncio.to_thread(prepare, namespace, image, pool)
    began = time.perf_counter()
    await asyncio.to_thread(full, endpoint, pool)
    filled = time.perf_counter() - began
    held = memory.of_processes(("sympozium_agent", "sympozium_operator", "sympozium_webproxy"))
    with no_operator():
        alone = await paced(endpoint, pool, per_second=2)
    await asyncio.to_thread(full, endpoint, pool)
    burst = await paced(endpoint, pool, per_second=45)
    await asyncio.to_thread(full, endpoint, pool)
    refilled = await paced(endpoint, sustained, per_second=2)
    runs = await asyncio.to_thread(namespace.list, "runs", "-l", "sympozium.ai/source=web-proxy")
    return {
        "load_average": list(os.getloadavg()),
        "pool": pool,
        "filled_seconds": round(filled, 1),
        "memory_mb": held,
        "2/s without refill": spread(alone),
        f"burst of {pool} at 45/s": spread(burst),
        "2/s with refill": spread(refilled),
        "starts": Counter(run.get("status", {}).get("start") for run in runs),
        "lost": 2 * pool + sustained - len(alone) - len(burst) - len(refilled),
    }


def full(endpoint: Endpoint, pool: int) -> None:
    """Wait until all idle pods wait."""

    def waiting() -> bool:
        text = endpoint.http.get("/metrics").text
        return any(line == f"sympozium_idle_pods {pool:.1f}" for line in text.splitlines())

    until(waiting, within=30 + 3 * pool, why=lambda: endpoint.namespace.kubectl("get", "pods"))


@contextmanager
def no_operator() -> Iterator[None]:
    """While there is none, nothing is refilled and nothing removed."""
    words = ("scale", "deployment/sympozium-operator")
    count = SYSTEM.get("deployment", "sympozium-operator")["spec"]["replicas"]
    SYSTEM.kubectl(*words, "--replicas=0")
    until(lambda: not SYSTEM.list("pods", "-l", "app.kubernetes.io/component=operator"), within=60)
    try:
        yield
    finally:
        SYSTEM.kubectl(*words, f"--replicas={count}")
        SYSTEM.kubectl("rollout", "status", "deployment/sympozium-operator", "--timeout=90s")


async def paced(endpoint: Endpoint, count: int, *, per_second: float) -> list[float]:
    """Seconds to the first token of requests that come at a pace, whether or not those before have been answered."""
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=120, limits=httpx2.Limits(max_connections=count)) as http:
        await http.get(f"{endpoint.url}/health")
        asked = []
        for number in range(count):
            asked.append(asyncio.create_task(_first_token(http, endpoint.url)))
            if number < count - 1:
                await asyncio.sleep(1 / per_second)
        found = await asyncio.gather(*asked, return_exceptions=True)
    return [seconds for seconds in found if isinstance(seconds, float)]


async def _first_token(http: httpx2.AsyncClient, url: str) -> float:
    began, first = time.perf_counter(), 0.0
    async with http.stream("POST", f"{url}/v1/chat/completions", json=BODY) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not first and '"content":"' in line:
                first = time.perf_counter() - began
    return first


def spread(values: Sequence[float]) -> dict[str, float]:
    """n, median, 95th and 99th percentile (nearest rank) and maximum, in milliseconds."""
    ordered = sorted(value * 1000 for value in values)
    if not ordered:
        return {"n": 0}

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

    return {
        "n": len(ordered),
        "p50": round(statistics.median(ordered), 1),
        "p95": at(0.95),
        "p99": at(0.99),
        "max": round(ordered[-1], 1),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows = [
        (name, ", ".join(f"{key} {value}" for key, value in values.items()))
        for name, values in figures.items()
        if isinstance(values, dict)
    ]
    lines = [f"load average {figures['load_average'][0]:.1f}, {figures['lost']} lost"]
    lines += [
        f"pool of {figures['pool']} filled in {figures['filled_seconds']} s",
        "",
        "| figure | measured |",
        "|---|---|",
    ]
    return "\n".join([*lines, *(f"| {name} | {measured} |" for name, measured in rows)])


if __name__ == "__main__":
    main()

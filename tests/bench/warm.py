"""Requests that are answered by a warm pool: how long until the first token.

Three parts, the pool being full before each: two requests a second that only use it up (the operator is away meanwhile), a burst of the
whole pool, and two a second with refill.
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from tests.bench.overhead import at_rate
from tests.bench.report import Figures, spread
from tests.bench.requests import BODY
from tests.e2e.conftest import Endpoint, Namespace, installed_with, instance, model_server, until

LIMIT = {"requestsPerMinute": 1_000_000, "burstSize": 1_000_000}
SYSTEM = Namespace("sympozium-system")


def measure(image: str, *, pool: int, sustained: int) -> Figures:
    """Make a namespace with a full pool, measure, remove it."""
    namespace = Namespace(f"bench-warm-{secrets.token_hex(2)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    try:
        with installed_with("agent.resources.requests.cpu=10m"):  # by requests, 40 pods fill a node of two cores
            return asyncio.run(_measured(namespace, image, pool, sustained))
    finally:
        namespace.delete("namespace", namespace.name, "--wait=false")


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


async def _measured(namespace: Namespace, image: str, pool: int, sustained: int) -> Figures:
    endpoint = await asyncio.to_thread(prepare, namespace, image, pool)
    began = time.perf_counter()
    await asyncio.to_thread(full, endpoint, pool)
    filled = time.perf_counter() - began
    with no_operator():
        alone = await paced(endpoint, pool, per_second=2)
    await asyncio.to_thread(full, endpoint, pool)
    burst = await paced(endpoint, pool, per_second=45)
    await asyncio.to_thread(full, endpoint, pool)
    refilled = await paced(endpoint, sustained, per_second=2)
    runs = await asyncio.to_thread(namespace.list, "runs", "-l", "sympozium.ai/source=web-proxy")
    starts = Counter(run.get("status", {}).get("start") for run in runs)
    return {
        "warm_pool": pool,
        "warm_filled_s": round(filled, 1),
        "warm_s": {
            "2/s without refill": spread(alone),
            f"{pool} at 45/s": spread(burst),
            "2/s with refill": spread(refilled),
        },
        "warm_started_cold": starts["cold"],
        "warm_lost": 2 * pool + sustained - len(alone) - len(burst) - len(refilled),
    }


def full(endpoint: Endpoint, pool: int) -> None:
    """Wait until all idle pods wait."""

    def waiting() -> bool:
        text = endpoint.metrics()
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
        found = await at_rate(lambda: first_token(http, endpoint.url), count, per_second)
    return [seconds for seconds in found if seconds is not None]


async def first_token(http: httpx2.AsyncClient, url: str) -> float | None:
    """Seconds; None: there was no whole answer, or no token in it."""
    began, first = time.perf_counter(), 0.0
    try:
        async with http.stream("POST", f"{url}/v1/chat/completions", json=BODY) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if not first and '"content":"' in line:
                    first = time.perf_counter() - began
    except httpx2.HTTPError:
        return None
    return first or None

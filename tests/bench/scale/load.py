"""Requests at a fixed rate to a real web endpoint whose agents are on simulated nodes, and what became of every one of them."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.bench.overhead import at_rate
from tests.bench.report import Figures, spread
from tests.bench.requests import BODY
from tests.bench.scale.agents import ANSWER
from tests.bench.scale.nodes import ENDS_WITH_US, remove, simulated
from tests.bench.scale.usage import Cores, operator, web_proxies
from tests.e2e.conftest import Endpoint, Namespace, instance, until

from sympozium_api.client import Client, from_environment
from sympozium_api.resources import RUNS
from sympozium_api.run_status import TERMINAL_PHASES

Object = dict[str, Any]

LIMIT = {"requestsPerMinute": 1_000_000, "burstSize": 1_000_000}
CONCURRENT, QUEUED = 1000, 10_000
PAGE = 500
PATIENCE = 300
"""Seconds for a pool to be filled, for an answer, and for the runs to end that have none."""
ANSWERED = "answered"


@dataclass(frozen=True)
class Asked:
    """One request: its run, if it got one, how it ended and when its first token came."""

    run: str | None
    ended: str
    first_token: float = 0


def measure(folder: Path, *, rates: list[float], seconds: float, pool: int, replicas: int) -> Figures:
    """An instance for each rate, of its own."""
    with simulated(folder, "runs.refillRate=200", "runs.kept=100000", "operator.resources.limits.memory=1Gi"):
        loads = []
        for rate in rates:
            loads.append(_at(rate, folder, seconds, pool, replicas))
            print(loads[-1], flush=True)  # noqa: T201 - it takes long, and may not come to its end
    return {"loads": loads}


def _at(per_second: float, folder: Path, seconds: float, pool: int, replicas: int) -> Figures:
    """Make an instance, load it, compare, remove it."""
    namespace = Namespace(f"bench-load-{secrets.token_hex(2)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    try:
        endpoint = prepare(namespace, pool, replicas)
        with agents(folder) as standin:
            until(
                lambda: web_proxies(namespace).metrics().get("sympozium_idle_pods", 0) >= pool,
                within=PATIENCE,
                why=lambda: namespace.kubectl("get", "jobs"),
            )
            parts = (operator(), web_proxies(namespace))
            before = {pods.component: pods.resident_mb for pods in parts}
            load_average, cores = os.getloadavg()[0], Cores(*parts, agents=standin.pid, caller=os.getpid())
            began = time.monotonic()
            asked = asyncio.run(load(endpoint, round(per_second * seconds), per_second))
            took, used = time.monotonic() - began, cores.used()
            memory = {pods.component: [before[pods.component], pods.resident_mb] for pods in parts}
            runs = asyncio.run(ended_runs(namespace))
        tally = json.loads((folder / "agents.json").read_text())
    finally:
        remove(namespace)
    return {
        "per_second": per_second,
        "seconds": seconds,
        "pool": pool,
        "replicas": replicas,
        "load_average": load_average,
        "took_s": round(took, 1),
        "first_token_s": spread([one.first_token for one in asked if one.ended == ANSWERED]),
        "account": account(asked, runs, tally),
        "cores": used,
        "memory_mb": memory,
    }


def prepare(namespace: Namespace, pool: int, replicas: int) -> Endpoint:
    """An instance whose limits are there but never reached. Its model is never called."""
    namespace.apply(
        instance(
            "bench",
            agent={"warmPool": {"size": pool, "idleTTL": "1h"}},
            skills=[{"skillPackRef": "web-endpoint"}],
            webEndpoint={"rateLimit": LIMIT, "replicas": replicas},
            maxConcurrentRuns=CONCURRENT,
            maxQueuedRuns=QUEUED,
        )
    )
    return Endpoint(namespace, "bench").serves()


@contextmanager
def agents(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The process that stands in for all agents; its tally is in ``agents.json`` afterwards."""
    with (folder / "agents.log").open("w") as log:
        words = (sys.executable, "-m", "tests.bench.scale.agents", str(folder / "agents.json"))
        process = subprocess.Popen((*ENDS_WITH_US, *words), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


async def load(endpoint: Endpoint, count: int, per_second: float) -> list[Asked]:
    """That many requests, each begun when its time has come, however many are still open."""
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(endpoint.url, headers=headers, connector=connector, timeout=timeout) as http:
        return await at_rate(lambda: ask(http), count, per_second)


async def ask(http: aiohttp.ClientSession) -> Asked:
    """One streamed request."""
    began, run, text, first = time.monotonic(), None, b"", 0.0
    try:
        async with http.post("/v1/chat/completions", json=BODY) as response:
            run = response.headers.get("x-sympozium-run")
            async for piece in response.content.iter_any():
                text += piece
                if not first and ANSWER.encode() in text:
                    first = time.monotonic() - began
    except (aiohttp.ClientError, TimeoutError) as error:
        return Asked(run, type(error).__name__, first)
    if response.status != 200:
        return Asked(run, f"HTTP {response.status}", first)
    return Asked(run, ANSWERED if first and text.endswith(b"data: [DONE]\n\n") else "error frame", first)


async def ended_runs(namespace: Namespace) -> dict[str, Object]:
    """The status of each run of a caller, by name, when all have ended or nobody need wait any longer."""
    async with Client.connect(from_environment()) as client:
        deadline = time.monotonic() + PATIENCE
        while True:
            found = {run["metadata"]["name"]: run.get("status", {}) for run in await _runs(client, namespace.name)}
            ended = sum(status.get("phase") in TERMINAL_PHASES for status in found.values())
            if ended == len(found) or time.monotonic() > deadline:
                return found
            await asyncio.sleep(5)


async def _runs(client: Client, namespace: str) -> list[Object]:
    found, after = [], ""
    while True:
        page = await client.page(
            RUNS, namespace, limit=PAGE, after=after, labelSelector="sympozium.ai/source=web-proxy"
        )
        found += page.items
        if not (after := page.next_page):
            return found


def account(asked: list[Asked], runs: dict[str, Object], tally: Object) -> Figures:
    """Callers' answers, runs and pods side by side; ``wrong`` counts what does not fit together."""
    answered = {one.run for one in asked if one.ended == ANSWERED}
    succeeded = {name for name, status in runs.items() if status.get("phase") == "Succeeded"}
    true = {name for name in succeeded if runs[name].get("result") == ANSWER}
    given: dict[str, list[str]] = tally["tasks"]
    tasks = Counter(pod for pods in given.values() for pod in pods)
    return {
        "requests": dict(Counter(one.ended for one in asked)),
        "runs": dict(Counter(str(status.get("phase")) for status in runs.values())),
        "starts": dict(Counter(str(status.get("start")) for status in runs.values())),
        "errors": dict(Counter(status["error"]["type"] for status in runs.values() if status.get("error"))),
        "pods": tally["pods"],
        "pods_ended": tally["ends"],
        "wrong": {
            "answered, but no run that succeeded with that answer": len(answered - true),
            "runs that nobody asked for": len(set(runs) - {one.run for one in asked}),
            "runs that succeeded without exactly one pod": sum(len(given.get(name, ())) != 1 for name in succeeded),
            "runs given to several pods": sum(len(pods) > 1 for pods in given.values()),
            "pods with several tasks": sum(count > 1 for count in tasks.values()),
            "two requests with one run": len(asked) - len({one.run or id(one) for one in asked}),
        },
    }

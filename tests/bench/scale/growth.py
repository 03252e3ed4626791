"""Operator's memory and CPU as objects grow in number: instances, idle pods, runs that have ended.

Of each kind so many are made; then the operator is started anew, timed until it has looked at everything, and watched at rest.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.bench.report import Figures
from tests.bench.scale.nodes import remove, simulated
from tests.bench.scale.usage import Pods, operator
from tests.bench.warm import no_operator
from tests.e2e.conftest import Namespace, installed_with, instance, until

from sympozium_api import names
from sympozium_api.client import Client, from_environment
from sympozium_api.resources import INSTANCES, RUNS

Object = dict[str, Any]

AT_ONCE = 16
POOL = 500
"""Idle pods of one instance: no instance may have more."""
RUNS_KEPT = 1000
"""Ended runs of one instance, which is the operator's default; it would delete more."""
PATIENCE = 300
"""Seconds for the operator to look at everything."""
LONGEST = 1800
"""Seconds for objects to be made."""
VALUES = ("runs.refillRate=1000", "operator.resources.limits.memory=2Gi")


def measure(folder: Path, *, kinds: list[str], sizes: list[int], rest: float) -> Figures:
    """A row for each kind and size, and one for none of anything; ``rest``: seconds of a look at the operator at rest."""
    with simulated(folder, *VALUES, parts=("agent", "webProxy")):
        rows = [{"kind": "nothing", "count": 0} | measured(rest)]
        for kind in kinds:
            namespace = Namespace(f"bench-growth-{secrets.token_hex(2)}")
            namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
            there = 0
            try:
                for size in sorted(sizes):
                    KINDS[kind](namespace, there, size)
                    there = size
                    rows.append({"kind": kind, "count": size} | measured(rest))
                    print(rows[-1], flush=True)  # noqa: T201 - it takes long, and may not come to its end
            finally:
                remove(namespace)
    return {"growth": rows}


def measured(rest: float) -> Figures:
    """An operator from its start on: seconds until its queue is empty, then its cores and memory."""
    with no_operator():
        pass
    new = operator()
    began = until(lambda: time.monotonic() if new.metrics().get("sympozium_operator_leader") else None, within=60)
    try:
        until(lambda: is_done(new), within=PATIENCE)
    except AssertionError:
        return {"looked_at_all_s": None} | at_rest(new, rest)
    return {"looked_at_all_s": round(time.monotonic() - began, 1)} | at_rest(new, rest)


def is_done(pods: Pods) -> bool:
    """Return true if it has reconciled everything."""
    found = pods.metrics()
    looks = found.get("sympozium_operator_reconcile_duration_seconds_count", 0)
    return looks > 0 and found["sympozium_operator_queue_depth"] == 0


def at_rest(pods: Pods, seconds: float) -> Figures:
    """Cores, and memory at the end and at most, over some time in which nothing happens."""
    before, began, most = pods.cpu_seconds, time.monotonic(), 0.0
    while time.monotonic() < began + seconds:
        most = max(most, pods.resident_mb)
        time.sleep(1)
    cores = (pods.cpu_seconds - before) / (time.monotonic() - began)
    return {"cores": round(cores, 3), "memory_mb": pods.resident_mb, "most_memory_mb": most}


def instances(namespace: Namespace, there: int, size: int) -> None:
    """Instances without a web endpoint; the operator gives each a ServiceAccount and two NetworkPolicies."""
    asyncio.run(_make(lambda client, number: _instance(client, namespace.name, number), there, size))
    until(lambda: asyncio.run(_all_seen(namespace)), within=LONGEST)


def idle_pods(namespace: Namespace, there: int, size: int) -> None:
    """Instances with a full warm pool, on simulated nodes with their web-proxies; nobody is there to take a pod."""
    for number in range(there // POOL, -(-size // POOL)):
        pool = {"warmPool": {"size": min(POOL, size - number * POOL), "idleTTL": "24h"}}
        namespace.apply(instance(f"pool-{number}", agent=pool, skills=[{"skillPackRef": names.WEB_ENDPOINT_SKILL}]))
    seen = operator()
    until(lambda: seen.metrics().get("sympozium_operator_idle_pods", 0) >= size, within=LONGEST)


def finished_runs(namespace: Namespace, there: int, size: int) -> None:
    """Runs that have ended, as many of an instance as are kept. They are made while there is no operator, which would start them."""
    with installed_with("admissionPolicies.enabled=false"), no_operator():  # their statuses are written by this process
        asyncio.run(_make(lambda client, number: _run(client, namespace.name, number), there, size))


KINDS: dict[str, Callable[[Namespace, int, int], None]] = {
    "finished runs": finished_runs,
    "idle pods": idle_pods,
    "instances": instances,
}


async def _make(one: Callable[[Client, int], Awaitable[None]], there: int, size: int) -> None:
    """The numbers from ``there`` to ``size``, some at a time."""
    numbers = iter(range(there, size))

    async def worker(client: Client) -> None:
        for number in numbers:
            await one(client, number)

    async with Client.connect(from_environment()) as client:
        await asyncio.gather(*(worker(client) for _ in range(AT_ONCE)))


async def _instance(client: Client, namespace: str, number: int) -> None:
    await client.create(INSTANCES, namespace, instance(f"bench-{number}"))


async def _all_seen(namespace: Namespace) -> bool:
    await asyncio.sleep(5)  # a list of thousands is no small thing
    async with Client.connect(from_environment()) as client:
        return all("observedGeneration" in found["status"] for found in await client.list(INSTANCES, namespace.name))


async def _run(client: Client, namespace: str, number: int) -> None:
    of = f"bench-{number // RUNS_KEPT}"
    name = f"{of}-{number}"
    body = {
        "apiVersion": RUNS.api_version,
        "kind": RUNS.kind,
        "metadata": {"name": name, "labels": {names.LABEL_INSTANCE: of, names.LABEL_SOURCE: "web-proxy"}},
        "spec": {"agentRef": of, "request": {"messages": [{"role": "user", "content": "hello"}]}},
    }
    await client.create(RUNS, namespace, body)
    status = {"phase": "Succeeded", "start": "cold", "result": "Hello", "finishReason": "stop"}
    await client.patch(RUNS, namespace, name, {"status": status}, subresource="status")

"""Two operators with a shard each, on simulated nodes: the runs of each, and what becomes of all runs when operators are killed.

Two namespaces, one of each shard, get requests at the same rate. In the second phase the two operators are deleted in turn.
"""

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
from tests.bench.report import Figures
from tests.bench.scale.load import Asked, account, agents, ended_runs, load, prepare
from tests.bench.scale.nodes import remove, simulated
from tests.e2e.conftest import NOW, Endpoint, Namespace, until
from tests.e2e.figures import operators

from sympozium_operator.scheduling.shards import Shards

SHARDS = 2
SYSTEM = "sympozium-system"
PATIENCE = 120
KILL_EVERY = 30.0
VALUES = (
    "operator.replicas=2",
    f"operator.shards={SHARDS}",
    "runs.refillRate=200",
    "runs.kept=100000",
    "operator.resources.limits.memory=1Gi",
)


def measure(folder: Path, *, rate: float, seconds: float, pool: int) -> Figures:
    """Measure both phases, each at ``rate`` requests per second in all."""
    with simulated(folder, *VALUES), agents(folder) as standin, ExitStack() as stack:
        namespaces = [stack.enter_context(_namespace_of(shard)) for shard in range(SHARDS)]
        endpoints = [prepare(namespace, pool, 1) for namespace in namespaces]
        until(lambda: sorted(_held().values()) == [1, 1], within=PATIENCE, why=_held)
        before = _admitted()
        quiet = asyncio.run(_loads(endpoints, rate, seconds))
        admitted = {pod: count - before.get(pod, 0) for pod, count in _admitted().items()}
        with _kills() as killed:
            disturbed = asyncio.run(_loads(endpoints, rate, seconds))
        until(lambda: sorted(_held().values()) == [1, 1], within=PATIENCE, why=_held)
        runs: dict[str, Any] = {}
        for namespace in namespaces:
            runs |= asyncio.run(ended_runs(namespace))
        standin.terminate()
        standin.wait()
        tally = json.loads((folder / "agents.json").read_text())
    asked = [*quiet, *disturbed]
    found = account(asked, runs, tally)
    return {
        "shards": {"per_second": rate, "seconds": seconds, "admitted": admitted, "killed": killed, "account": found}
    }


@contextmanager
def _namespace_of(shard: int) -> Iterator[Namespace]:
    """A new namespace of a shard."""
    shards = Shards(SYSTEM, SHARDS)
    names = (f"bench-shard-{secrets.token_hex(2)}" for _ in iter(int, 1))
    namespace = Namespace(next(name for name in names if shards.of(name) == shard))
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    try:
        yield namespace
    finally:
        remove(namespace)


async def _loads(endpoints: list[Endpoint], rate: float, seconds: float) -> list[Asked]:
    each = rate / len(endpoints)
    loads = (load(endpoint, round(each * seconds), each) for endpoint in endpoints)
    return [one for asked in await asyncio.gather(*loads) for one in asked]


@contextmanager
def _kills() -> Iterator[list[str]]:
    """Delete the operators in turn, the names of which are in the list, without time to give their Leases back."""
    killed, stop = list[str](), threading.Event()

    def kill() -> None:
        while not stop.wait(KILL_EVERY):
            pods = sorted(_held(), key=lambda pod: (pod in killed, pod))
            if pods:
                Namespace(SYSTEM).delete("pod", pods[0], *NOW)
                killed.append(pods[0])

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()
        time.sleep(1)


def _held() -> dict[str, float]:
    return _metric("sympozium_operator_shards_held")


def _admitted() -> dict[str, float]:
    return _metric("sympozium_operator_runs_admitted_total")


def _metric(name: str) -> dict[str, float]:
    """Return a metric of each operator; empty while one of them does not answer."""
    try:
        return operators(Namespace(SYSTEM), name)
    except (httpx2.TransportError, KeyError):
        return {}

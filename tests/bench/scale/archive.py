"""Seconds from a run's end to its row in the archive: of requests on simulated nodes, and of runs without pods that a script ends.

The rows are asked for through the console, a page of the newest ended runs at a time, so a figure has the time of an answer in it.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.overhead import at_rate
from tests.bench.report import Figures, spread
from tests.bench.scale import load
from tests.bench.scale.nodes import remove, simulated
from tests.bench.scale.usage import Pods
from tests.bench.warm import no_operator
from tests.e2e.archives import PASSWORD, POSTGRES, postgres_server
from tests.e2e.conftest import Namespace, agent_run, installed_with, until
from tests.e2e.consoles import Console

from sympozium_api.client import Client, from_environment
from sympozium_api.resources import RUNS

Object = dict[str, Any]

DATABASES = ("sqlite", "postgresql")
PAGE = 500
NEWEST = 200
"""Ended runs of one look: four seconds of ends at 50 a second."""
POLL_SECONDS = 0.1
PATIENCE = 300
"""Seconds for the last rows to come."""
KEPT = "runs.kept=100000"
ANSWER = "x" * 4096


class ArchivedEnds:
    """The time at which the archive first showed the end of each run of a namespace, by the run's name."""

    def __init__(self, console: Console) -> None:
        self.seen: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        """The time of the end, as the row has it."""
        self._console = console
        self._stop = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look again and again in a thread."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _look(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            page = self._console.asks("GET", "history", query={"status": "Succeeded", "limit": str(NEWEST)})
            now = time.time()
            for row in page.json()["items"] if page.status_code == 200 else ():
                self.seen.setdefault(row["name"], now)
                self.ended.setdefault(row["name"], datetime.fromisoformat(row["endedAt"]).timestamp())

    def archived(self) -> set[str]:
        """The names of all runs of the namespace that the archive has with their end and content."""
        names: set[str] = set()
        for offset in range(0, 10**6, PAGE):
            items = self._console.get("history", limit=str(PAGE), offset=str(offset))["items"]
            names.update(row["name"] for row in items if row["endedAt"] and row["contentState"] == "kept")
            if len(items) < PAGE:
                break
        return names


def measure(folder: Path, *, kinds: list[str], rate: float, ends: float, seconds: float) -> Figures:
    """Measure both rates for so many seconds on each database."""
    rows = []
    for kind in kinds:
        with database(kind) as values:
            with simulated(folder, KEPT, "runs.refillRate=200", *values):
                rows.append({"database": kind, "what": "requests"} | requests(folder, rate, seconds))
                print(rows[-1], flush=True)  # noqa: T201 - it takes long, and may not come to its end
            with installed_with("admissionPolicies.enabled=false", KEPT, *values), no_operator():
                rows.append({"database": kind, "what": "ends without pods"} | without_pods(ends, seconds))
                print(rows[-1], flush=True)  # noqa: T201 - the same
    return {"archive": rows}


@contextmanager
def database(kind: str) -> Iterator[tuple[str, ...]]:
    """The values of an archive in a database of its own."""
    if kind == "sqlite":
        try:
            yield ("archive.enabled=true",)
        finally:
            Namespace("sympozium-system").delete("persistentvolumeclaim", "sympozium-archive", "--wait=false")
        return
    namespace = Namespace(f"bench-database-{secrets.token_hex(2)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}}, *postgres_server())
    try:
        namespace.kubectl("rollout", "status", f"deployment/{POSTGRES}", "--timeout=3m")
        url = f"postgresql+asyncpg://postgres:{PASSWORD}@{POSTGRES}.{namespace.name}:5432/postgres"
        yield ("archive.enabled=true", f"archive.url={url}")
    finally:
        namespace.delete("namespace", namespace.name, "--wait=false")


@contextmanager
def runs_namespace() -> Iterator[Namespace]:
    """A namespace for runs that is removed afterwards."""
    namespace = Namespace(f"bench-archive-{secrets.token_hex(2)}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    try:
        yield namespace
    finally:
        remove(namespace)


def requests(folder: Path, rate: float, seconds: float) -> Figures:
    """Requests at a rate, whose runs end by themselves."""
    with runs_namespace() as namespace, load.agents(folder):
        endpoint = load.prepare(namespace, pool=0, replicas=1)
        with looking(namespace) as found:
            began = time.monotonic()
            asyncio.run(load.load(endpoint, round(rate * seconds), rate))
            took = time.monotonic() - began
            runs = asyncio.run(load.ended_runs(namespace))
            all_archived(found, set(runs))
            ended = {name: found.ended[name] for name in runs if name in found.ended}
            return {"per_second": rate, "took_s": round(took, 1)} | figures(found, set(runs), ended)


def without_pods(rate: float, seconds: float) -> Figures:
    """Runs that this process makes and ends, while there is no operator that would start them."""
    with runs_namespace() as namespace, looking(namespace) as found:
        began, ended = time.monotonic(), asyncio.run(make_and_end(namespace.name, round(rate * seconds), rate))
        took = time.monotonic() - began
        all_archived(found, set(ended))
        return {"per_second": rate, "took_s": round(took, 1)} | figures(found, set(ended), ended)


async def make_and_end(namespace: str, count: int, per_second: float) -> dict[str, float]:
    """Make so many runs and end them at a rate; return the time of each end's answer by the run's name."""
    ended: dict[str, float] = {}
    numbers = iter(range(count))
    status = {"phase": "Succeeded", "result": ANSWER, "finishReason": "stop"}
    async with Client.connect(from_environment()) as client:

        async def one() -> None:
            name = f"end-{next(numbers)}"
            await client.create(RUNS, namespace, agent_run(name, agentRef="bench", task="hello"))
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            patch = {"status": status | {"completedAt": now}}
            await client.patch(RUNS, namespace, name, patch, subresource="status", metadata_only=True)
            ended[name] = time.time()

        await at_rate(one, count, per_second)
    return ended


@contextmanager
def looking(namespace: Namespace) -> Iterator[ArchivedEnds]:
    """What the archive shows of a namespace's runs meanwhile."""
    system = Namespace("sympozium-system")
    system.kubectl("rollout", "status", "deployment/sympozium-console", "--timeout=3m")
    console = Console(system, namespace.name)
    with closing(console.http):
        until(lambda: console.asks("GET", "history").status_code == 200, within=60)
        found = ArchivedEnds(console)
        with found.watched():
            yield found


def all_archived(found: ArchivedEnds, names: set[str]) -> None:
    """Wait until the archive has all runs with their contents."""
    until(lambda: names <= found.archived(), within=PATIENCE, why=lambda: len(names - found.archived()))


def figures(found: ArchivedEnds, names: set[str], ended: dict[str, float]) -> Figures:
    """The seconds from end to row, and which runs have none."""
    lags = [max(0.0, found.seen[name] - at) for name, at in ended.items() if name in found.seen]
    console = Pods.of(Namespace("sympozium-system"), "console", 9090)
    return {
        "runs": len(names),
        "end_to_row_s": spread(lags),
        "not_seen_among_the_newest": len(names - found.seen.keys()),
        "not_archived": len(names - found.archived()),
        "console_mb": console.resident_mb,
        "console_cpu_s": round(console.cpu_seconds, 1),
    }

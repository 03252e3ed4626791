"""Two operators with a shard each, as processes in front of an API server in memory: ``python -m tests.bench.operator_shards``.

Prints the runs that each has admitted, its processor time for a run of its own and for one of the other operator, and whether each run
got one Job although one operator is killed (SIGKILL) in the middle, and another one started.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from tests.bench.operator_cost import discovery, free_port, now, variables
from tests.bench.report import Figures
from tests.fakes.api_server import ApiServer, listening
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.replica import Process
from tests.unit.operator.objects import SYSTEM, instance_object, run_object

from sympozium_api import names, terminal_status
from sympozium_api.resources import JOBS, RUNS, Object
from sympozium_operator.scheduling.shards import Shards

SHARDS = 2
NAMESPACES = [f"team-{number}" for number in range(24)]
_PATIENCE = 180.0
_AGENT_SECONDS = 0.3
_REST_SECONDS = 10.0


@dataclass(frozen=True)
class Operator:
    """A process."""

    name: str
    process: asyncio.subprocess.Process
    metrics_url: str
    usage: Process

    async def metric(self, name: str) -> float:
        """Return a metric; 0 while the process does not answer."""
        async with httpx2.AsyncClient() as http:
            try:
                text = (await http.get(self.metrics_url, timeout=5)).text
            except httpx2.TransportError:
                return 0.0
        lines = (line.split() for line in text.splitlines())
        return next((float(words[1]) for words in lines if words[:1] == [f"sympozium_operator_{name}"]), 0.0)

    async def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        await self.process.wait()


async def measure(*, runs: int, per_second: float) -> Figures:
    """Measure with so many runs in each phase."""
    cluster = FakeKubernetes(lambda: datetime.now(UTC))
    cluster.documents |= discovery()
    for namespace in NAMESPACES:
        cluster.put(_in(namespace, instance_object()))
    shards = Shards(SYSTEM, SHARDS)
    async with listening(ApiServer(cluster).app()) as url, AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(_operator(url, name)) for name in ("one", "two")]
        await _even(one, two)
        await _load(cluster, "warm-up", NAMESPACES, 24, per_second)
        both = await _phase(cluster, "both", NAMESPACES, runs, per_second, one, two)
        first = [namespace for namespace in NAMESPACES if shards.of(namespace) == 0]
        foreign = await _phase(cluster, "first", first, runs, per_second, one, two)
        loading = asyncio.create_task(_load(cluster, "killed", NAMESPACES, runs, per_second))
        await asyncio.sleep(runs / per_second / 3)
        await two.kill()
        await asyncio.sleep(runs / per_second / 3)
        three = await stack.enter_async_context(_operator(url, "three"))
        await loading
        await _even(one, three)
    made = [name for verb, plural, name in cluster.writes if (verb, plural) == ("create", JOBS.plural)]
    asked = 3 * runs + 24
    return {
        "runs": asked,
        "jobs_made": len(made),
        "runs_with_one_job": len(set(made)),
        "both": both,
        "all_runs_of_the_first_shard": foreign,
    }


async def _phase(
    cluster: FakeKubernetes, name: str, namespaces: Sequence[str], runs: int, per_second: float, *operators: Operator
) -> Figures:
    """Return what each operator has admitted, and its processor time for each run of all, above what it uses at rest."""
    rest = []
    for operator in operators:
        used = operator.usage.cpu_seconds
        await asyncio.sleep(_REST_SECONDS)
        rest.append((operator.usage.cpu_seconds - used) / _REST_SECONDS)
    before = [(await operator.metric("runs_admitted_total"), operator.usage.cpu_seconds) for operator in operators]
    began = asyncio.get_running_loop().time()
    await _load(cluster, name, namespaces, runs, per_second)
    took = asyncio.get_running_loop().time() - began
    found: Figures = {}
    for operator, (admitted, used), idle in zip(operators, before, rest, strict=True):
        ms = (operator.usage.cpu_seconds - used - idle * took) / runs * 1000
        now_admitted = await operator.metric("runs_admitted_total")
        found[operator.name] = {"admitted": now_admitted - admitted, "ms_per_run_of_all": round(ms, 2)}
    return found


@asynccontextmanager
async def _operator(url: str, name: str) -> AsyncIterator[Operator]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        environ = variables(Path(folder), url, port)
        environ |= {"SYMPOZIUM_POD_NAME": name, "SYMPOZIUM_SHARDS": str(SHARDS)}
        with log.open("wb") as output:
            words = (sys.executable, "-m", "sympozium_operator")
            started = await asyncio.create_subprocess_exec(*words, env=environ, stdout=output, stderr=output)
        try:
            yield Operator(name, started, f"http://127.0.0.1:{port}/metrics", Process(url, started.pid))
        finally:
            if started.returncode is None:
                started.kill()
            await started.wait()


async def _even(*operators: Operator) -> None:
    """Return when each operator works on one shard."""
    async with asyncio.timeout(_PATIENCE):
        while [await operator.metric("shards_held") for operator in operators] != [1.0, 1.0]:
            await asyncio.sleep(0.5)


async def _load(cluster: FakeKubernetes, prefix: str, namespaces: Sequence[str], count: int, per_second: float) -> None:
    """Create runs at equal distances, end each, and wait until their Jobs are gone."""
    ending = []
    for number in range(count):
        run = _in(namespaces[number % len(namespaces)], run_object(f"{prefix}-{number}")) | {"status": {}}
        run["metadata"]["creationTimestamp"] = now()
        cluster.put(run)
        ending.append(asyncio.create_task(_end(cluster, run)))
        await asyncio.sleep(1 / per_second)
    await asyncio.gather(*ending)
    async with asyncio.timeout(_PATIENCE):
        while any(name.startswith(prefix) for name in cluster.names(JOBS)):
            await asyncio.sleep(0.05)


async def _end(cluster: FakeKubernetes, run: Object) -> None:
    """Be the run's pod and its web-proxy, once its Job is made."""
    namespace, name, uid = (run["metadata"][part] for part in ("namespace", "name", "uid"))
    job = names.job(name, uid)
    async with asyncio.timeout(_PATIENCE):
        while (JOBS.plural, namespace, job) not in cluster.objects:
            await asyncio.sleep(0.02)
    await asyncio.sleep(_AGENT_SECONDS)
    choices = [{"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}]
    record: Any = {"type": "done", "choices": choices, "usage": {}, "durationMs": 7}
    status = terminal_status.status_of(
        record, job_name=job, pod_name=f"{job}-abcde", started_at=now(), now=datetime.now(UTC), start="cold"
    )
    cluster.put(cluster.object(RUNS, name, namespace) | {"status": status})
    await asyncio.sleep(_AGENT_SECONDS)
    if (found := cluster.objects.get((JOBS.plural, namespace, job))) is not None:
        complete = {"type": "Complete", "status": "True", "lastTransitionTime": now()}
        cluster.put(found | {"status": {"succeeded": 1, "conditions": [complete]}})


def _in(namespace: str, body: Object) -> Object:
    name = body["metadata"]["name"]
    return body | {"metadata": body["metadata"] | {"namespace": namespace, "uid": f"uid-{namespace}-{name}"}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Two operators with a shard each, one of which is killed.")
    parser.add_argument("--runs", type=int, default=240, help="runs of each of the three phases")
    parser.add_argument("--rate", type=float, default=10.0, help="runs per second")
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(runs=given.runs, per_second=given.rate)), indent=2))  # noqa: T201

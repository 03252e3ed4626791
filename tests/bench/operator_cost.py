"""Processor time of the operator for a cold run: its process as its image starts it, in front of an API server in memory.

A stand-in for node and web-proxy ends each run and its Job. ``python -m tests.bench.operator_cost`` prints milliseconds per run, the
operator's API writes per run, and as the yardstick milliseconds of a million additions in a loop.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.machine import additions
from tests.bench.report import Figures
from tests.fakes.api_server import ApiServer, kubeconfig, listening
from tests.fakes.kubernetes import KINDS, FakeKubernetes
from tests.fakes.replica import Process
from tests.unit.operator.objects import NAMESPACE, SYSTEM, instance_object, run_object

from sympozium_api import terminal_status
from sympozium_api.resources import INSTANCES, JOBS, RUNS, Object

RUNS_MEASURED = 200
PER_SECOND = 10.0
_WARM_UP = 20
_START_SECONDS = 180.0
_AGENT_SECONDS = 0.3
"""Seconds from a Job's creation to its run's end, and from there to the end of the pod."""
_IDLE_SECONDS, _IDLE_PER_SECOND = 4.0, 5
_LATE_SECONDS = 3.0
"""Seconds in which the operator cleans up after the last run."""


async def measure(*, runs: int = RUNS_MEASURED, per_second: float = PER_SECOND) -> Figures:
    """Return the operator's processor time and API writes per run."""
    cluster = FakeKubernetes(lambda: datetime.now(UTC))
    cluster.put(instance_object(maxConcurrentRuns=10_000))
    async with operator(cluster) as process:
        await _load(cluster, _WARM_UP, per_second, "warm")
        rest = await _at_rest(process)
        used, writes, began = process.cpu_seconds, len(cluster.writes), time.monotonic()
        await _load(cluster, runs, per_second, "run")
        used = process.cpu_seconds - used - rest * (time.monotonic() - began)
        return {
            "operator_run_cpu": {
                "n": runs,
                "ms_per_run": round(1000 * used / runs, 2),
                "writes_per_run": round((len(cluster.writes) - writes) / runs, 2),
                "million_additions_ms": round(1000 * min(additions() for _ in range(5)), 1),
            }
        }


async def until_idle(cluster: FakeKubernetes) -> None:
    """Return once the operator reconciles no more instances than its resync does: on a busy machine its processor time shows no end."""
    while True:
        before = _instances_read(cluster)
        await asyncio.sleep(_IDLE_SECONDS)
        if _instances_read(cluster) - before < _IDLE_SECONDS * _IDLE_PER_SECOND:
            return


def _instances_read(cluster: FakeKubernetes) -> int:
    return sum(verb == "get" and plural == INSTANCES.plural for verb, plural, _ in cluster.reads)


@asynccontextmanager
async def operator(cluster: FakeKubernetes, *, refill_rate: int = 3) -> AsyncIterator[Process]:
    """Run an operator that leads, in front of this API server; ``refill_rate``: most idle pods that it starts in a second."""
    cluster.documents |= discovery()
    with tempfile.TemporaryDirectory() as folder:
        async with listening(ApiServer(cluster).app()) as url:
            log = Path(folder) / "log"
            environ = variables(Path(folder), url, free_port())
            environ |= {"SYMPOZIUM_REFILL_RATE": str(refill_rate), "POD_NAME": "bench"}
            with log.open("wb") as output:
                started = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "sympozium_operator", env=environ, stdout=output, stderr=output
                )
            try:
                async with asyncio.timeout(_START_SECONDS):
                    while not any(plural == "serviceaccounts" for _, plural, _ in cluster.writes):
                        assert started.returncode is None, log.read_text()
                        await asyncio.sleep(0.1)
                await asyncio.sleep(_LATE_SECONDS)
                yield Process(url, started.pid)
            finally:
                started.kill()
                await started.wait()


def variables(folder: Path, url: str, metrics_port: int) -> dict[str, str]:
    """Return the environment of an operator in front of an API server, whose kubeconfig is written into the folder."""
    config = folder / "kubeconfig"
    config.write_text(json.dumps(kubeconfig(url)))
    return os.environ | {
        "KUBECONFIG": str(config),
        "SYMPOZIUM_NAMESPACE": SYSTEM,
        "SYMPOZIUM_AGENT_IMAGE": "example.com/agent:1",
        "SYMPOZIUM_METRICS_PORT": str(metrics_port),
    }


def free_port() -> int:
    """Return a port that nobody listens at, because several operators may be measured at a time."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def discovery() -> dict[str, Object]:
    """Return the documents in which kopf looks kinds up."""
    groups: dict[str, list[Object]] = {}
    for kind in KINDS:
        path = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        described = {"name": kind.plural, "kind": kind.kind, "singularName": kind.kind.lower(), "namespaced": True}
        groups.setdefault(path, []).append(described | {"verbs": ["list", "watch", "patch"]})
    versions = [path.removeprefix("/apis/").split("/") for path in groups if path.startswith("/apis/")]
    return {
        **{path: {"resources": resources} for path, resources in groups.items()},
        "/api": {"versions": ["v1"]},
        "/apis": {
            "groups": [
                {"name": group, "versions": [{"version": version}], "preferredVersion": {"version": version}}
                for group, version in versions
            ]
        },
        "/version": {},
    }


async def _at_rest(process: Process) -> float:
    """Return the processor seconds that the operator uses in a second without runs."""
    used = process.cpu_seconds
    await asyncio.sleep(_LATE_SECONDS)
    return (process.cpu_seconds - used) / _LATE_SECONDS


async def _load(cluster: FakeKubernetes, count: int, per_second: float, prefix: str) -> None:
    """Create runs at equal distances, end each, and wait until their Jobs are gone."""
    ending = []
    for number in range(count):
        run = run_object(f"{prefix}-{number}") | {"status": {}}
        run["metadata"]["creationTimestamp"] = now()
        cluster.put(run)
        ending.append(asyncio.create_task(_end(cluster, run["metadata"]["name"])))
        await asyncio.sleep(1 / per_second)
    await asyncio.gather(*ending)
    async with asyncio.timeout(60):
        while any(name.startswith(prefix) for name in cluster.names(JOBS)):
            await asyncio.sleep(0.05)


async def _end(cluster: FakeKubernetes, name: str) -> None:
    """Be the run's pod and its web-proxy, once its Job is made."""
    async with asyncio.timeout(60):
        while not (jobs := [job for job in cluster.names(JOBS) if job.startswith(f"{name}-")]):
            await asyncio.sleep(0.02)
    await asyncio.sleep(_AGENT_SECONDS)
    choices = [{"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}]
    record = {"type": "done", "choices": choices, "usage": {}, "durationMs": 7}
    status = terminal_status.status_of(
        record, job_name=jobs[0], pod_name=f"{jobs[0]}-abcde", started_at=now(), now=datetime.now(UTC), start="cold"
    )
    cluster.put(cluster.object(RUNS, name, NAMESPACE) | {"status": status})
    await asyncio.sleep(_AGENT_SECONDS)
    if jobs[0] in cluster.names(JOBS):
        complete = {"type": "Complete", "status": "True", "lastTransitionTime": now()}
        cluster.put(cluster.object(JOBS, jobs[0], NAMESPACE) | {"status": {"succeeded": 1, "conditions": [complete]}})


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Processor time of the operator for a cold run.")
    parser.add_argument("--runs", type=int, default=RUNS_MEASURED)
    parser.add_argument("--rate", type=float, default=PER_SECOND, help="runs per second")
    given = parser.parse_args()
    print(asyncio.run(measure(runs=given.runs, per_second=given.rate)))  # noqa: T201

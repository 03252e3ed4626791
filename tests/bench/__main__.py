"""``make bench``: the figures of the design, each beside a yardstick of the same run, against a scripted instant model.

Prints tables and writes ``.local/bench.json``; ``--write docs/benchmarks.md`` puts the tables into that page. Run under
``$SYMPOZIUM_EXEC``, where pods and Services can be reached.
"""

import argparse
import asyncio
import json
import os
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import (
    agent_start,
    archive,
    held_bytes,
    machine,
    mcp,
    memory,
    operator_cost,
    operator_memory,
    overhead,
    report,
    starts,
    stream_cost,
    tools,
    warm,
    waterfall,
)
from tests.bench.audit import AuditLog
from tests.bench.barejob import BareJobs
from tests.bench.requests import Requests
from tests.e2e.conftest import Endpoint, Namespace, instance, model_server, until

RESULTS = Path(".local/bench.json")
PARTS = (
    "cold",
    "bursts",
    "memory",
    "warm",
    "overhead",
    "stream",
    "agent",
    "operator",
    "mcp",
    "tools",
    "starts",
    "held",
    "archive",
)
CONCURRENCY = (10, 20)
REST_SECONDS = 0.7
"""Between two samples: what the one before left to be cleaned up shall not be measured."""

BETWEEN_SECONDS = 20.0
"""Longest wait for a quiet machine before each part."""

SETTLE_SECONDS = 5
"""For what the node still does about pods that the API server has forgotten."""


def main() -> None:
    """Measure the parts that were asked for, and print them."""
    parser = argparse.ArgumentParser(description="Measure what a request costs, beside bare Jobs.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    parser.add_argument("--sequential", type=int, default=30, help="requests one after the other")
    parser.add_argument("--burst", type=int, default=60, help="requests at each concurrency")
    parser.add_argument("--requests", type=int, default=10_000, help="requests to the web-proxy alone, 200 per second")
    parser.add_argument("--pool", type=int, default=40, help="idle pods of the warm pool")
    parser.add_argument("--sustained", type=int, default=120, help="warm requests with refill, 2 per second")
    parser.add_argument(
        "--archive-rows", type=int, default=200_000, help="runs in the archive's table; a million takes 6 min"
    )
    parser.add_argument("--quiet-seconds", type=float, default=120, help="longest wait for a quiet machine")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page whose tables are replaced by these")
    asked = parser.parse_args()
    figures: report.Figures = {
        "load_average": list(os.getloadavg()),
        "machine": machine.wait_until_quiet(asked.quiet_seconds),
    }
    failed = False
    for part, measure in measurements(asked):
        if not machine.wait_until_quiet(BETWEEN_SECONDS, sample=1.0)["quiet"]:
            figures["unquiet_parts"] = [*figures.get("unquiet_parts", []), part]
        began = time.monotonic()
        try:
            figures |= measure()
        except Exception:  # noqa: BLE001 - hours of other figures shall not be lost
            traceback.print_exc()
            failed = True
        print(f"{part}: {time.monotonic() - began:.0f} s", file=sys.stderr)  # noqa: T201 - progress
    print(report.tables(figures))  # noqa: T201 - what the command is for
    if asked.write:
        asked.write.write_text(report.with_tables(asked.write.read_text(), figures))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")

    sys.exit(failed)


def measurements(asked: argparse.Namespace) -> Iterator[tuple[str, Callable[[], report.Figures]]]:
    """What was asked for by its part, in this order: after what uses the cluster there is much to clear away."""
    alone: tuple[tuple[str, Callable[[], Coroutine[Any, Any, report.Figures]]], ...] = (
        ("overhead", partial(overhead.measure, requests=asked.requests)),
        ("stream", stream_cost.measure),
        ("agent", agent_start.measure),
        ("operator", operator_cost.measure),
        ("operator", operator_memory.measure),
        ("mcp", mcp.measure),
        ("tools", tools.measure),
        ("starts", starts.measure),
        ("held", held_bytes.measure),
        ("archive", partial(archive.measure, asked.archive_rows)),
    )
    for part, measure in alone:
        if part in asked.parts:
            yield part, lambda measure=measure: asyncio.run(measure())  # type: ignore[misc]
    if on_cluster := [part for part in ("cold", "bursts", "memory") if part in asked.parts]:
        yield ", ".join(on_cluster), partial(on_the_cluster, asked)
    if "warm" in asked.parts:
        yield "warm", lambda: warm.measure(agent_image(), pool=asked.pool, sustained=asked.sustained)


def on_the_cluster(asked: argparse.Namespace) -> report.Figures:
    """Make namespaces, measure, remove them."""
    system, image = Namespace("sympozium-system"), agent_image()
    suffix = secrets.token_hex(2)
    ours, bare, with_token = namespaces = [Namespace(f"bench-{name}-{suffix}") for name in ("runs", "bare", "token")]
    for namespace in namespaces:
        namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    figures: report.Figures = {}
    try:
        endpoint = prepare(ours, image)
        requests = Requests(endpoint.url, endpoint.key)
        asyncio.run(requests.burst(3, concurrency=1))  # the first of anything is slower: caches, connections
        yardsticks = BareJobs(bare, image, token=False), BareJobs(with_token, image, token=True)
        if "cold" in asked.parts:
            figures |= asyncio.run(cold(requests, ours, yardsticks, asked.sequential))
        if "bursts" in asked.parts:
            figures["bursts"] = {
                str(number): asyncio.run(burst(requests, yardsticks, asked.burst, number)) for number in CONCURRENCY
            }
        if "memory" in asked.parts:
            figures["memory_mb"] = asyncio.run(held(requests, endpoint, system))
    finally:
        for namespace in namespaces:
            namespace.delete("namespace", namespace.name, "--wait=false")
    return figures


def agent_image() -> str:
    """The image of agents, which is that of web-proxies and of the runs server."""
    runs = Namespace("sympozium-system").get("deployment", "sympozium-runs")
    found: str = runs["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def prepare(namespace: Namespace, image: str) -> Endpoint:
    """An instance without limits in front of an instant model that says when it sent each token."""
    limit = {"requestsPerMinute": 1_000_000, "burstSize": 1_000_000}
    namespace.apply(
        *model_server(image),
        instance(
            "bench", model="slow:3:0", skills=[{"skillPackRef": "web-endpoint"}], webEndpoint={"rateLimit": limit}
        ),
    )
    namespace.kubectl("rollout", "status", "deployment/model", "--timeout=90s")
    return Endpoint(namespace, "bench").serves()


async def cold(
    requests: Requests, ours: Namespace, yardsticks: tuple[BareJobs, BareJobs], count: int
) -> report.Figures:
    """Requests and both kinds of bare Jobs, taking turns, and what the API server was asked meanwhile."""
    bare_jobs, token_jobs = yardsticks
    for yardstick in yardsticks:
        await yardstick.first_line()
    log = AuditLog.from_environment()
    begin = log.position() if log else 0
    streams, bare_lines, token_lines = [], [], []
    for _ in range(count):
        await asyncio.sleep(REST_SECONDS)
        streams.append(await requests.stream())
        await asyncio.sleep(REST_SECONDS)
        bare_lines.append(await bare_jobs.first_line())
        await asyncio.sleep(REST_SECONDS)
        token_lines.append(await token_jobs.first_line())
    await asyncio.to_thread(_settled, ours, bare_jobs.namespace)
    spaces = {ours.name: count, bare_jobs.namespace.name: count}
    writes = log.per_object(begin, spaces) if log else {}
    found = waterfall.steps(streams, ours, log, begin) if log else {}
    await asyncio.to_thread(_removed, bare_jobs.namespace, token_jobs.namespace)
    return {
        "cold_first_token_s": report.spread([stream.first_token for stream in streams]),
        "bare_job_first_line_s": report.spread(bare_lines),
        "token_job_first_line_s": report.spread(token_lines),
        "cold_total_s": report.spread([stream.total for stream in streams]),
        "chunk_delay_s": report.spread([delay for stream in streams for delay in stream.chunk_delays]),
        "last_token_to_end_s": report.spread([stream.after_last_token for stream in streams]),
        "api_writes_per_run": writes.get(ours.name, {}),
        "api_writes_per_bare_job": writes.get(bare_jobs.namespace.name, {}),
        "waterfall_s": found,
    }


async def burst(
    requests: Requests, yardsticks: tuple[BareJobs, BareJobs], count: int, concurrency: int
) -> report.Figures:
    """Many requests at once, then as many bare Jobs of both kinds, each followed by a rest."""
    before = machine.ProcessorTime.now()
    done = await requests.burst(count, concurrency=concurrency)
    used = machine.ProcessorTime.now().since(before)
    await asyncio.sleep(SETTLE_SECONDS)
    return {
        "first_token_s": report.spread([stream.first_token for stream in done.streams]),
        "total_s": report.spread([stream.total for stream in done.streams]),
        "per_second": round(len(done.streams) / done.seconds, 2),
        "lost": count - len(done.streams),
        "cpu_ms_per_run": {name: round(1000 * seconds / count, 1) for name, seconds in used.items()},
        "jobs_per_second": await _jobs_per_second(yardsticks, count, concurrency),
    }


async def _jobs_per_second(yardsticks: tuple[BareJobs, BareJobs], count: int, concurrency: int) -> dict[str, float]:
    """Return the bare Jobs per second, without and with a token volume."""
    rates = {}
    for name, jobs in zip(("bare", "token"), yardsticks, strict=True):
        first_lines, seconds = await jobs.burst(count, concurrency=concurrency)
        rates[name] = round(len(first_lines) / seconds, 2)
        await asyncio.to_thread(_removed, jobs.namespace)
    return rates


async def held(requests: Requests, endpoint: Endpoint, system: Namespace) -> dict[str, float]:
    """Memory of every part, after all that was asked of it before."""
    endpoint.use_model("hang")
    waiting = asyncio.create_task(requests.stream())
    await asyncio.sleep(3)
    places = {"operator": system, "runs": system, "web-proxy": endpoint.namespace, "agent": endpoint.namespace}
    try:
        return {name: await asyncio.to_thread(memory.resident_mb, place, name) for name, place in places.items()}
    finally:
        waiting.cancel()


def _settled(ours: Namespace, bare: Namespace) -> None:
    """Wait until our Jobs are cleaned up and the bare ones complete: late writes belong to the count."""
    until(lambda: not ours.list("jobs") and len(ours.list("pods")) <= 2, within=60)
    until(lambda: all(job["status"].get("succeeded") for job in bare.list("jobs")), within=60)


def _removed(*yardsticks: Namespace) -> None:
    """Remove the finished yardsticks: a hundred ended pods would slow the kubelet down."""
    for namespace in yardsticks:
        namespace.kubectl("delete", "jobs", "--all")
        until(lambda namespace=namespace: not namespace.list("pods"), within=60)  # type: ignore[misc]
    time.sleep(SETTLE_SECONDS)


if __name__ == "__main__":
    main()

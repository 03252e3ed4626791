"""``make bench``: the figures of the design, each beside a bare Job in the same run, against a scripted instant model.

Prints a table and writes ``.local/bench.json``. Run under ``$SYMPOZIUM_EXEC``, where pods and Services can be reached.
"""

import argparse
import asyncio
import json
import os
import secrets
import time
from pathlib import Path

from tests.bench import memory, report
from tests.bench.audit import AuditLog
from tests.bench.barejob import BareJobs
from tests.bench.requests import Requests
from tests.e2e.conftest import Endpoint, Namespace, instance, model_server, until

RESULTS = Path(".local/bench.json")
REST_SECONDS = 0.7
"""Between two samples: what the one before left to be cleaned up shall not be measured."""

SETTLE_SECONDS = 5
"""For what the node still does about pods that the API server has forgotten."""


def main() -> None:
    """Make two namespaces, measure, print, remove them."""
    parser = argparse.ArgumentParser(description="Measure cold runs beside bare Jobs.")
    parser.add_argument("--sequential", type=int, default=30, help="requests one after the other")
    parser.add_argument("--burst", type=int, default=60, help="requests at concurrency 10")
    asked = parser.parse_args()
    image = Namespace("sympozium-system").get("deployment", "sympozium-runs")["spec"]["template"]["spec"]["containers"][
        0
    ]["image"]
    suffix = secrets.token_hex(2)
    ours, bare, with_token = namespaces = [Namespace(f"bench-{name}-{suffix}") for name in ("runs", "bare", "token")]
    for namespace in namespaces:
        namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name}})
    try:
        figures = asyncio.run(measure(ours, bare, with_token, image, asked.sequential, asked.burst))
    finally:
        for namespace in namespaces:
            namespace.delete("namespace", namespace.name, "--wait=false")
    print(report.table(figures))  # noqa: T201 - what the command is for
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")


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


async def measure(
    ours: Namespace, bare: Namespace, with_token: Namespace, image: str, sequential: int, burst: int
) -> report.Figures:
    """All figures; the three kinds of samples take turns."""
    endpoint = prepare(ours, image)
    requests = Requests(endpoint.url, endpoint.key)
    bare_jobs, token_jobs = BareJobs(bare, image, token=False), BareJobs(with_token, image, token=True)
    for _ in range(3):  # the first of anything is slower: caches, connections
        await requests.stream()
        await bare_jobs.first_line()
        await token_jobs.first_line()
    log = AuditLog.from_environment()
    begin = log.position() if log else 0
    streams, bare_lines, token_lines = [], [], []
    for _ in range(sequential):
        await asyncio.sleep(REST_SECONDS)
        streams.append(await requests.stream())
        await asyncio.sleep(REST_SECONDS)
        bare_lines.append(await bare_jobs.first_line())
        await asyncio.sleep(REST_SECONDS)
        token_lines.append(await token_jobs.first_line())
    await asyncio.to_thread(_settled, ours, bare)
    writes = log.per_object(begin, {ours.name: sequential, bare.name: sequential}) if log else {}
    await asyncio.to_thread(_removed, bare, with_token)
    at_once = await requests.burst(burst, concurrency=10)
    held = memory.of_processes(("sympozium_operator", "sympozium_webproxy", "sympozium_runs"))
    endpoint.use_model("hang")
    waiting = asyncio.create_task(requests.stream())
    await asyncio.sleep(3)
    held |= memory.of_processes(("sympozium_agent",))
    waiting.cancel()
    return {
        "load_average": list(os.getloadavg()),
        "cold_first_token_s": report.spread([stream.first_token for stream in streams]),
        "bare_job_first_line_s": report.spread(bare_lines),
        "token_job_first_line_s": report.spread(token_lines),
        "cold_total_s": report.spread([stream.total for stream in streams]),
        "chunk_delay_s": report.spread([delay for stream in streams for delay in stream.chunk_delays]),
        "last_token_to_end_s": report.spread([stream.after_last_token for stream in streams]),
        "burst_seconds": report.spread([stream.total for stream in at_once.streams]),
        "burst_per_second": round(len(at_once.streams) / at_once.seconds, 2),
        "burst_lost": burst - len(at_once.streams),
        "api_writes_per_run": writes.get(ours.name, {}),
        "api_writes_per_bare_job": writes.get(bare.name, {}),
        "memory_mb": held,
    }


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

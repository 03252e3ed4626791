"""Memory of the operator for each instance and each idle pod: its process as its image starts it, in front of an API server in memory.

``python -m tests.bench.operator_memory`` prints MB with one instance, with many once all are reconciled, and with idle pods; kB of
each; and MB with 20,000 instances, by that count unless so many were measured.
"""

import argparse
import asyncio
from datetime import UTC, datetime

from tests.bench.operator_cost import operator
from tests.bench.report import Figures
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.objects import NAMESPACE, WEB_ENDPOINT, instance_object, pack_object

from sympozium_api import names
from sympozium_api.resources import JOBS, LEASES, SERVICE_ACCOUNTS

INSTANCES, IDLE_PODS = 1000, 200
_LARGEST_POOL = 500
_MANY = 20_000
_CHECK_SECONDS = 5.0
_START_SECONDS = 0.2
"""Seconds after which the pods of new Jobs are ready."""


async def measure(*, instances: int = INSTANCES, idle_pods: int = IDLE_PODS) -> Figures:
    """Return the operator's memory with one instance, with many, and with idle pods of as few instances as can have them."""
    pools = -(-idle_pods // _LARGEST_POOL)
    few, many = await resident_mb(1), await resident_mb(instances)
    each = (many - few) / (instances - 1)
    pods = await resident_mb(pools, idle_pods=idle_pods) - few - (pools - 1) * each
    return {
        "operator_memory": {
            "instances": instances,
            "mb_with_one": round(few, 1),
            "mb": round(many, 1),
            "kb_per_instance": round(1024 * each, 1),
            "mb_with_20000": round(few + _MANY * each),
            "idle_pods": idle_pods,
            "kb_per_idle_pod": round(1024 * pods / idle_pods, 1),
        }
    }


async def resident_mb(instances: int, *, idle_pods: int = 0) -> float:
    """Return the operator's memory once it has reconciled this many instances and writes no more.

    Instances have no web endpoint, unless they have idle pods, which are ready a moment after their Jobs are made.
    """
    cluster = FakeKubernetes(lambda: datetime.now(UTC))
    cluster.put(pack_object())
    for number in range(instances):
        size = min(_LARGEST_POOL, idle_pods - number * _LARGEST_POOL)
        pool = {"model": {"warmPool": {"size": size}}, **WEB_ENDPOINT} if size > 0 else {}
        cluster.put(instance_object(f"i{number}", **pool))
    async with operator(cluster, refill_rate=_LARGEST_POOL) as process:
        starting = asyncio.create_task(_start_idle_pods(cluster))
        try:
            writes = -1
            while writes != (now := _writes(cluster)) or not _is_complete(cluster, instances, idle_pods):
                writes = now
                await asyncio.sleep(_CHECK_SECONDS)
        finally:
            starting.cancel()
        return process.resident_mb


def _is_complete(cluster: FakeKubernetes, instances: int, idle_pods: int) -> bool:
    return len(cluster.names(SERVICE_ACCOUNTS)) >= instances and len(_idle_jobs(cluster)) >= idle_pods


def _idle_jobs(cluster: FakeKubernetes) -> list[str]:
    return [name for name in cluster.names(JOBS) if names.idle_job_generation(name)]


async def _start_idle_pods(cluster: FakeKubernetes) -> None:
    """Let the pods of idle Jobs be ready, without end."""
    ready = set[str]()
    while True:
        for name in set(_idle_jobs(cluster)) - ready:
            cluster.put(cluster.object(JOBS, name, NAMESPACE) | {"status": {"active": 1, "ready": 1}})
            ready.add(name)
        await asyncio.sleep(_START_SECONDS)


def _writes(cluster: FakeKubernetes) -> int:
    """Return the number of writes so far, but for those of the Lease."""
    return sum(plural != LEASES.plural for _, plural, _ in cluster.writes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Memory of the operator for each instance and each idle pod.")
    parser.add_argument("--instances", type=int, default=INSTANCES)
    parser.add_argument("--idle-pods", type=int, default=IDLE_PODS)
    given = parser.parse_args()
    print(asyncio.run(measure(instances=given.instances, idle_pods=given.idle_pods)))  # noqa: T201

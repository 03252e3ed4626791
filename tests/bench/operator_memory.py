"""Memory of the operator for each instance: its process as its image starts it, in front of an API server in memory.

``python -m tests.bench.operator_memory`` prints MB without instances and with them once all are reconciled, kB of each instance, and
MB with 20,000 instances by that count.
"""

import argparse
import asyncio
from datetime import UTC, datetime

from tests.bench.operator_cost import operator
from tests.bench.report import Figures
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.objects import instance_object

from sympozium_api.resources import LEASES, SERVICE_ACCOUNTS

INSTANCES = 1000
_MANY = 20_000
_CHECK_SECONDS = 5.0


async def measure(*, instances: int = INSTANCES) -> Figures:
    """Return the operator's memory with one instance and with many."""
    few, many = await resident_mb(1), await resident_mb(instances)
    each = (many - few) / (instances - 1)
    return {
        "operator_memory": {
            "instances": instances,
            "mb_with_one": round(few, 1),
            "mb": round(many, 1),
            "kb_per_instance": round(1024 * each, 1),
            "mb_with_20000": round(few + _MANY * each),
        }
    }


async def resident_mb(instances: int) -> float:
    """Return the operator's memory once it has reconciled this many instances, without web endpoints, and writes no more."""
    cluster = FakeKubernetes(lambda: datetime.now(UTC))
    for number in range(instances):
        cluster.put(instance_object(f"i{number}"))
    async with operator(cluster) as process:
        writes = -1
        while writes != (now := _writes(cluster)) or len(cluster.names(SERVICE_ACCOUNTS)) < instances:
            writes = now
            await asyncio.sleep(_CHECK_SECONDS)
        return process.resident_mb


def _writes(cluster: FakeKubernetes) -> int:
    """Return the number of writes so far, but for those of the Lease."""
    return sum(plural != LEASES.plural for _, plural, _ in cluster.writes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Memory of the operator for each instance.")
    parser.add_argument("--instances", type=int, default=INSTANCES)
    print(asyncio.run(measure(instances=parser.parse_args().instances)))  # noqa: T201

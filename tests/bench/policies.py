"""One changed SympoziumPolicy among 20 that bind 1,000 instances: seconds until all that it binds have it, and the policies' memory.

``python -m tests.bench.policies`` prints them: the operator as its image starts it, in front of an API server in memory. With ``--all``
the changed policy binds every instance.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from tests.bench.operator_cost import operator, until_idle
from tests.bench.report import Figures
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.replica import Process
from tests.unit.api.policies import policy_manifest
from tests.unit.operator.objects import NAMESPACE, instance_object

from sympozium_api import names
from sympozium_api.resources import CONFIG_MAPS, INSTANCES

COUNT, POLICIES = 1000, 20
_POLL_SECONDS = 0.05


async def measure(*, instances: int = COUNT, policies: int = POLICIES, binds_all: bool = False) -> Figures:
    """Return the figures of one change, n=1."""
    without = await _settled(instances, 0)
    async with _world(instances, policies, binds_all=binds_all) as (cluster, process):
        held = process.resident_mb
        bound = instances if binds_all else len(range(0, instances, policies))
        began = time.monotonic()
        cluster.put(policy_manifest("p0", NAMESPACE, limits={"iterations": 7}, **_all(binds_all)))
        while _having(cluster, '"iterations":7') < bound:
            await asyncio.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - began
    return {
        "policies": {
            "n": 1,
            "instances": instances,
            "policies": policies,
            "bound": bound,
            "seconds": round(seconds, 2),
            "mb_without": round(without, 1),
            "mb_with": round(held, 1),
        }
    }


async def _settled(instances: int, policies: int) -> float:
    async with _world(instances, policies, binds_all=False) as (_, process):
        return process.resident_mb


@asynccontextmanager
async def _world(instances: int, policies: int, *, binds_all: bool) -> AsyncIterator[tuple[FakeKubernetes, Process]]:
    """Run an operator that has reconciled all instances."""
    cluster = FakeKubernetes(lambda: datetime.now(UTC))
    for number in range(policies):
        cluster.put(
            policy_manifest(f"p{number}", NAMESPACE, **({"appliesTo": "all"} if binds_all and not number else {}))
        )
    for number in range(instances):
        cluster.put(instance_object(f"i{number}", **_bound_by(number, policies)))
    async with operator(cluster) as process:
        while (_ready(cluster), _having(cluster, "policies")) != (instances, instances if policies else 0):
            await asyncio.sleep(1)
        await until_idle(cluster)
        yield cluster, process


def _all(binds_all: bool) -> dict[str, Any]:
    return {"appliesTo": "all"} if binds_all else {}


def _bound_by(number: int, policies: int) -> dict[str, Any]:
    return {"policyRef": f"p{number % policies}"} if policies else {}


def _ready(cluster: FakeKubernetes) -> int:
    bodies = [cluster.object(INSTANCES, name, NAMESPACE) for name in cluster.names(INSTANCES)]
    return sum("observedGeneration" in body.get("status", {}) for body in bodies)


def _having(cluster: FakeKubernetes, text: str) -> int:
    """Return the number of instances whose document has a text."""
    found = (cluster.object(CONFIG_MAPS, name, NAMESPACE) for name in cluster.names(CONFIG_MAPS))
    suffix = names.installed_skills("")
    return sum(
        text in body["data"].get("agent.json", "") for body in found if body["metadata"]["name"].endswith(suffix)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One changed policy.")
    parser.add_argument("--all", action="store_true", help="the changed policy binds every instance")
    print(asyncio.run(measure(binds_all=parser.parse_args().all)))  # noqa: T201

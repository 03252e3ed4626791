"""Start of runs while the operator reconciles thousands of instances: its work queue and reconcilers, on an API server in memory."""

import asyncio
import time

from tests.bench.report import Figures, spread
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.objects import NAMESPACE, instance_object, run_object
from tests.unit.operator.operator_world import operator_settings

from sympozium_api.clock import SystemClock
from sympozium_api.resources import JOBS
from sympozium_operator.result import Key
from sympozium_operator.scheduling.work_queue import WorkQueue
from sympozium_operator.wiring import wire

GAP = 0.05
"""Seconds between two new runs."""


async def measure(*, instances: int = 5000, runs: int = 200) -> Figures:
    """Return the seconds from a new run's watch event to its Job, while all instances are reconciled."""
    clock = SystemClock()
    cluster = FakeKubernetes(clock.now)
    names = [f"i{number}" for number in range(instances)]
    for name in names:
        cluster.put(instance_object(name, maxConcurrentRuns=10_000))
    operator = wire(client=cluster, clock=clock, settings=operator_settings())
    for name in names:  # their children exist, as those of instances that are looked at again
        await operator.dispatcher(Key("instance", NAMESPACE, name))
    queue = WorkQueue(operator.dispatcher, workers=16, loop=asyncio.get_running_loop())
    queue.open()
    queue.add_spread([Key("instance", NAMESPACE, name) for name in names])  # as after a SkillPack's change
    taken = []
    for number in range(runs):
        cluster.writes.clear()
        cluster.put(run_object(f"r{number}", agentRef=names[number % len(names)], timeout="24h") | {"status": {}})
        run = cluster.objects["agentruns", NAMESPACE, f"r{number}"]
        run["metadata"]["creationTimestamp"] = cluster_time()
        began = time.monotonic()
        queue.add(Key("run", NAMESPACE, f"r{number}"))
        while not any(verb == "create" and plural == JOBS.plural for verb, plural, _ in cluster.writes):
            await asyncio.sleep(0)
        taken.append(time.monotonic() - began)
        # else looks at runs without a pod would be most of the load
        del cluster.objects["agentruns", NAMESPACE, f"r{number}"]
        await asyncio.sleep(GAP)
    await queue.close()
    return {"start_beside_instances_s": spread(taken), "start_beside_instances": instances}


def cluster_time() -> str:
    """Return the present as a creation timestamp."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

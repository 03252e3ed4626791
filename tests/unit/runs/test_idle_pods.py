"""Idle pods at one replica: of several runs that name a pod, the first has it."""

import asyncio
from itertools import permutations

import pytest

from sympozium_api.run import AgentRun
from sympozium_runs.agent_api_metrics import AgentApiMetrics
from sympozium_runs.idle_pods import IdlePods

POD = "demo-warm-01234567-012345-abcde"


def run(name: str, created: int) -> AgentRun:
    return AgentRun.model_validate(
        {
            "metadata": {"name": name, "uid": name, "creationTimestamp": f"2026-01-01T00:00:0{created}Z"},
            "spec": {"agentRef": "demo", "task": "x", "claim": {"jobName": POD[:-6], "podName": POD}},
        }
    )


@pytest.mark.parametrize("order", list(permutations([run("b", 1), run("c", 1), run("a", 2)])))
async def test_the_first_of_several_runs_that_name_a_pod_has_it_in_whatever_order_they_are_seen(
    order: tuple[AgentRun, ...],
) -> None:
    pods = IdlePods("http://127.0.0.1:8081", AgentApiMetrics())
    for seen in order:
        pods.on_run_change(seen)
    found = await pods.run_of(POD)
    assert found is not None
    assert found[1] == "b"


async def test_a_run_that_is_seen_as_the_time_for_it_ends_is_not_lost() -> None:
    pods = IdlePods("http://127.0.0.1:8081", AgentApiMetrics())
    lookup = asyncio.create_task(pods.run_of(POD, within=0))
    await asyncio.sleep(0)
    pods.on_run_change(run("a", 1))
    assert await lookup == run("a", 1).key

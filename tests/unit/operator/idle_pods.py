"""Idle pods of a world: a pool that is filled, and what becomes of its Jobs and pods."""

from typing import Any

from tests.unit.operator.objects import (
    NAMESPACE,
    WEB_ENDPOINT,
    instance_object,
)
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import JOBS, Object

UNUSED = '{"type": "unused"}'


def pooled(**pool: Any) -> Object:
    return instance_object(**WEB_ENDPOINT, model={"warmPool": {"size": 2} | pool})


def jobs(world: World) -> list[Object]:
    return [world.cluster.object(JOBS, name, NAMESPACE) for name in world.cluster.names(JOBS)]


def idle_names(world: World) -> list[str]:
    return [job["metadata"]["name"] for job in jobs(world) if job["metadata"]["labels"].get(names.LABEL_WARM) == "idle"]


async def fill(world: World, looks: int = 6) -> list[str]:
    """Let the pool be filled, and its pods be ready."""
    await world.reconcile("alice", "instance")
    for _ in range(looks):
        await world.reconcile("alice", "pool")
        world.clock.advance(1)
        for job in jobs(world):
            if names.LABEL_WARM in job["metadata"]["labels"] and "status" not in job:
                becomes(world, job, ready=1, active=1)
    return idle_names(world)


def becomes(world: World, job: Object, **status: Any) -> None:
    world.cluster.put({**job, "status": status})


def pod_of(world: World, job_name: str, state: Object, phase: str = "Running") -> None:
    job = world.cluster.object(JOBS, job_name, NAMESPACE)
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job_name,
        "uid": job["metadata"]["uid"],
        "controller": True,
    }
    world.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{job_name}-abcde",
                "namespace": NAMESPACE,
                "ownerReferences": [owner],
                "labels": {"batch.kubernetes.io/job-name": job_name},
            },
            "spec": {"containers": [{"name": "agent"}]},
            "status": {"phase": phase, "containerStatuses": [{"state": state}]},
        }
    )


def claim(world: World, job_name: str, run: str = "q1") -> None:
    """A web-proxy makes a run for an idle pod."""
    world.ask(run, claim={"jobName": job_name, "podName": f"{job_name}-abcde"})

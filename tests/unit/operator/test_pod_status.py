"""Readers of pods that anybody may have written."""

from typing import Any

from hypothesis import given
from tests.strategies import kubernetes_objects as objects
from tests.unit.operator.objects import instance_object, job_object, pod_object, run_object, terminated
from tests.unit.operator.operator_world import World

from sympozium_operator.policy import pod_status


async def test_a_termination_message_of_a_strange_shape_ends_the_run() -> None:
    words = terminated(1, message='{"type":"done","choices":[{"message":"hello"}]}')
    world = World(instance_object(), run_object())
    await world.reconcile()
    pod = pod_object(state=words, phase="Failed")
    pod["metadata"]["ownerReferences"][0]["uid"] = world.job()["metadata"]["uid"]
    world.cluster.put(pod)
    world.clock.advance(3)
    await world.reconcile()
    assert world.status()["phase"] == "Failed"


@given(objects.pods(), objects.jobs())
def test_every_pod_can_be_read(pod: dict[str, Any], job: dict[str, Any]) -> None:
    assert pod_status.ending(pod, job)["type"] in ("done", "error")
    pod_status.never_had_a_task(pod)
    pod_status.crash(pod)
    pod_status.started_at(pod)
    pod_status.start_failure(pod, age=60, patience=30, nodes=[], warning=None)
    pod_status.job_ended(job)
    pod_status.job_pod([pod], job_object())

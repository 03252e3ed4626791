"""A pod that waits for a node while all nodes are full."""

from tests.unit.operator.objects import Object, pod_object
from tests.unit.operator.operator_world import World

FULL = [
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes: Insufficient cpu"}
]


def waits_for_a_node(world: World, name: str = "q1", **spec: object) -> Object:
    pod = pod_object(name, node=None, conditions=FULL)
    pod["spec"] |= spec
    pod["metadata"]["ownerReferences"][0]["uid"] = world.job(name)["metadata"]["uid"]
    return world.cluster.put(pod)

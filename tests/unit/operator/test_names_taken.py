"""Names that somebody else's objects have: the operator leaves the objects alone, and a condition says whose is in the way."""

from copy import deepcopy
from typing import Any

import pytest
from tests.unit.operator.objects import NAMESPACE, WEB_ENDPOINT, instance_object, metadata, pack_object, run_object
from tests.unit.operator.operator_world import World
from tests.unit.operator.test_refused_writes import condition

from sympozium_api.resources import DEPLOYMENTS, RUNS, SERVICES
from sympozium_operator.result import RetryLater

Object = dict[str, Any]

SERVER = "alice-web-endpoint-server"
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "uid-of-theirs", "controller": True}


def theirs(kind: str, api_version: str, *owners: Object) -> Object:
    about = metadata(SERVER, ownerReferences=list(owners)) if owners else metadata(SERVER)
    return {"apiVersion": api_version, "kind": kind, "metadata": about, "spec": {"selector": {"app": "theirs"}}}


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (
            SERVICES,
            theirs("Service", "v1"),
            f"Service {SERVER} exists and was not created by Sympozium; rename or delete it",
        ),
        (
            DEPLOYMENTS,
            theirs("Deployment", "apps/v1", OWNER),
            f"Deployment {SERVER} belongs to ConfigMap theirs; rename or delete it",
        ),
    ],
)
async def test_the_conditions_of_the_server_run_and_the_instance_name_it(kind: Any, body: Object, text: str) -> None:
    world = World(instance_object(**WEB_ENDPOINT), pack_object())
    world.cluster.put(body)
    before = deepcopy(world.cluster.object(kind, SERVER, NAMESPACE))
    await world.reconcile("alice", "instance")
    with pytest.raises(RetryLater, match="rename or delete it"):
        await world.reconcile("alice-web-endpoint")
    assert condition(world.status("alice-web-endpoint")) == ("False", "NameTaken", text)
    await world.reconcile("alice", "instance")
    assert condition(world.instance_status(), "WebEndpointReady") == ("False", "NameTaken", text)
    assert ("Warning", "NameTaken", text) in world.events()
    assert world.cluster.object(kind, SERVER, NAMESPACE) == before


@pytest.mark.parametrize("status", [{}, {"phase": "Succeeded", "result": "done"}], ids=["open", "ended"])
async def test_a_run_in_mode_task_of_the_server_runs_name_is_told_and_kept(status: Object) -> None:
    world = World(instance_object(**WEB_ENDPOINT), pack_object())
    run = run_object("alice-web-endpoint", agentRef="other") | {"status": status}
    world.cluster.put(run)
    before = deepcopy(world.cluster.object(RUNS, "alice-web-endpoint", NAMESPACE))
    with pytest.raises(RetryLater, match="was not created by Sympozium"):
        await world.reconcile("alice", "instance")
    text = "AgentRun alice-web-endpoint exists and was not created by Sympozium; rename or delete it"
    assert condition(world.instance_status()) == ("False", "NameTaken", text)
    assert world.cluster.object(RUNS, "alice-web-endpoint", NAMESPACE) == before


async def test_the_children_of_a_former_instance_of_this_name_are_only_waited_for() -> None:
    """Kubernetes deletes them soon, and a condition would be wrong by then."""
    world = World(instance_object(**WEB_ENDPOINT), pack_object())
    former = {"apiVersion": "sympozium.ai/v1alpha1", "kind": "AgentRun", "name": "alice-web-endpoint"}
    world.cluster.put(theirs("Service", "v1", former | {"uid": "uid-of-a-former-one", "controller": True}))
    await world.reconcile("alice", "instance")
    with pytest.raises(RetryLater, match="former"):
        await world.reconcile("alice-web-endpoint")
    assert "NameTaken" not in [reason for _, reason, _ in world.events()]

"""Ownership: whoever may create an AgentRun, or write labels, makes the operator touch nobody else's objects."""

from copy import deepcopy
from typing import Any

import pytest
from tests.unit.operator.idle_pods import becomes, claim, fill, pod_of, pooled
from tests.unit.operator.objects import (
    NAMESPACE,
    WEB_ENDPOINT,
    instance_object,
    metadata,
    pack_object,
    running,
    secret_object,
    terminated,
)
from tests.unit.operator.operator_world import World

from sympozium_api import names
from sympozium_api.resources import JOBS, SECRETS
from sympozium_operator.result import RetryLater

Object = dict[str, Any]

MIGRATION = "nightly-database-migration"


def job_named(name: str, *, labels: Object | None = None, owner: Object | None = None) -> Object:
    owners: Object = (
        {"ownerReferences": [{"controller": True, "apiVersion": names.API_VERSION} | owner]} if owner else {}
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(name, labels=labels or {"app": "payroll"}, **owners),
        "spec": {},
        "status": {"succeeded": 1},
    }


IDLE = {names.LABEL_INSTANCE: "alice", names.LABEL_WARM: names.IDLE}
ALICE = {"kind": "SympoziumInstance", "name": "alice", "uid": "uid-of-alice"}
FOREIGN_JOBS = [
    pytest.param(job_named(MIGRATION), id="nobody's"),
    pytest.param(job_named(MIGRATION, labels=IDLE), id="with an idle Job's labels"),
    pytest.param(job_named(MIGRATION, labels=IDLE, owner=ALICE), id="with labels and owner, not of a pool"),
    pytest.param(
        job_named("alice-warm-01234567-012345", labels=IDLE, owner=ALICE | {"uid": "another"}),
        id="of an earlier instance of the name",
    ),
    pytest.param(
        job_named("bob-warm-01234567-012345", labels=IDLE, owner=ALICE | {"name": "bob", "uid": "uid-of-bob"}),
        id="another instance's",
    ),
    pytest.param(
        job_named("alice-warm-01234567-012345", labels={names.LABEL_INSTANCE: "alice"}, owner=ALICE),
        id="no idle one",
    ),
]


@pytest.mark.parametrize("job", FOREIGN_JOBS)
@pytest.mark.parametrize("cancel", [True, False])
async def test_a_claim_of_any_other_job_leaves_that_job_alone(job: Object, cancel: bool) -> None:
    world, name = World(instance_object(**WEB_ENDPOINT)), job["metadata"]["name"]
    world.cluster.put(job)
    before = deepcopy(world.cluster.object(JOBS, name, NAMESPACE))
    claim(world, name)
    world.run()["spec"]["cancel"] = cancel
    pod_of(world, name, terminated(0, message='{"type":"done","choices":[]}'), "Succeeded")
    for _ in range(3):
        await world.reconcile()
        world.clock.advance(700)
    assert world.status()["phase"] == ("Cancelled" if cancel else "Failed")
    assert world.cluster.object(JOBS, name, NAMESPACE) == before


async def test_a_pool_deletes_no_job_that_only_has_the_labels_of_its_own() -> None:
    world = World(pooled(), pack_object())
    world.cluster.put(job_named(MIGRATION, labels=IDLE))
    await fill(world)
    assert MIGRATION in world.cluster.names(JOBS)


class TestASecondRunThatClaimsAPod:
    """The run that claimed the pod first has it, and notices nothing."""

    @pytest.fixture
    async def world(self) -> World:
        world = World(pooled(), pack_object())
        [self.job, _] = await fill(world)
        claim(world, self.job, "first")
        pod_of(world, self.job, running(1))
        await world.reconcile("first")
        world.clock.advance(3)
        claim(world, self.job, "second")
        return world

    async def test_is_lost_and_takes_nothing_along(self, world: World) -> None:
        await world.reconcile("second")
        world.clock.advance(3)
        await world.reconcile("second")
        assert world.status("second")["error"]["type"] == "lost"
        await world.reconcile("first")
        await world.reconcile("first")
        assert world.status("first")["phase"] == "Running"

    async def test_cancels_only_itself(self, world: World) -> None:
        world.run("second")["spec"]["cancel"] = True
        await world.reconcile("second")
        assert world.status("second")["phase"] == "Cancelled"
        assert self.job in world.cluster.names(JOBS)

    async def test_reads_no_answer_of_the_first(self, world: World) -> None:
        becomes(world, world.cluster.object(JOBS, self.job, NAMESPACE), failed=1)
        answer = '{"type":"error","error":{"type":"model_error","message":"a secret","httpStatus":500}}'
        pod_of(world, self.job, terminated(1, message=answer), "Failed")
        await world.reconcile("second")
        assert world.status("second")["error"]["type"] == "lost"
        await world.reconcile("first")
        assert world.status("first")["error"]["message"] == "a secret"

    async def test_is_lost_for_a_new_leader_too(self, world: World) -> None:
        world.restart()
        await world.reconcile("second")
        world.clock.advance(3)
        await world.reconcile("second")
        assert world.status("second")["error"]["type"] == "lost"

    async def test_is_told_by_its_uid_within_the_same_second(self, world: World) -> None:
        world.run("second")["metadata"] |= {"creationTimestamp": world.run("first")["metadata"]["creationTimestamp"]}
        world.run("second")["metadata"] |= {"uid": "uid-of-a"}  # before uid-of-first
        await world.reconcile("first")
        assert world.status("first")["error"]["type"] == "lost"

    async def test_is_lost_where_the_first_was_bound_to_the_pod_later(self, world: World) -> None:
        """The first names the pod in its status only, because it was created without one."""
        first = world.run("first")
        del first["spec"]["claim"]
        first["status"] = {"start": "warm", "jobName": self.job, "podName": f"{self.job}-abcde"}
        await world.reconcile("first")
        await world.reconcile("second")
        assert world.status("second")["error"]["type"] == "lost"


async def test_an_object_that_the_operator_did_not_make_is_not_taken_over() -> None:
    """Whoever may create an instance would otherwise take, and later delete, an object whose name they can guess."""
    world = World(instance_object(**WEB_ENDPOINT), pack_object())
    name = names.api_key_secret("alice-web-endpoint")
    world.cluster.put(secret_object(name, "api-key"))
    before = deepcopy(world.cluster.object(SECRETS, name, NAMESPACE))
    await world.reconcile("alice", "instance")
    with pytest.raises(RetryLater, match="was not created by Sympozium"):
        await world.reconcile("alice-web-endpoint")
    assert world.cluster.object(SECRETS, name, NAMESPACE) == before

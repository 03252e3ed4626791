"""Whatever objects the API server stores: no loop of the operator ends, and a good run beside them is started."""

from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.virtual_time import rest
from tests.strategies import kubernetes_objects as objects
from tests.strategies.examples import MANY
from tests.unit.operator import test_agent_watches as agent_watches
from tests.unit.operator.objects import NAMESPACE, instance_object, run_object
from tests.unit.operator.operator_leader import Leader
from tests.unit.operator.test_kopf_handlers import keys_of

from sympozium_api import names
from sympozium_api.resources import JOBS
from sympozium_operator.result import Key

Object = dict[str, Any]
WATCHED = ("Job", "AgentRun", "SympoziumInstance")


async def _never(seconds: float) -> None:
    raise AssertionError(f"a whole loop failed and waits {seconds} s")


def _aimed(job: Object) -> Object:
    """Let a Job claim to be the good run's, with whatever other labels it has."""
    owner = {"apiVersion": names.API_VERSION, "kind": "AgentRun", "name": "good-run", "uid": "uid-of-good-run"}
    labels = {"app.kubernetes.io/managed-by": names.FIELD_MANAGER, names.LABEL_RUN: "good-run"}
    metadata = job["metadata"] | {"ownerReferences": [owner | {"controller": True}]}
    return job | {"metadata": metadata | {"labels": job["metadata"].get("labels", {}) | labels}}


@given(st.lists(objects.anything() | objects.jobs().map(_aimed), min_size=1, max_size=4))
@MANY
async def test_no_loop_ends_and_a_good_run_starts(bodies: list[Object]) -> None:
    leader = Leader(*bodies, instance_object("good"), run_object("good-run", agentRef="good"), sleep=_never)
    resync = leader.resync
    await resync.until_done(resync.seed)
    await leader.settle()
    for body in bodies:
        if body["kind"] == "SympoziumInstance":
            leader.queue.add(Key("pool", NAMESPACE, body["metadata"]["name"]))
    for step in (resync.runs, resync.pruner.prune):
        await resync.until_done(step)
    for poll in (resync.api_keys, resync.skills, resync.others):
        await resync.until_done(partial(resync.poll, poll))
    await leader.settle()
    await leader.queue.close()
    good = names.job("good-run", "uid-of-good-run")
    assert good in leader.cluster.names(JOBS)


@given(objects.anything())
@MANY
async def test_every_event_can_be_handled(body: Object) -> None:
    if body["kind"] == "SkillPack":
        await keys_of("skillpacks", body)
    if body["kind"] in WATCHED:
        agent_watches.keys_of(body)


@given(st.lists(objects.anything(), min_size=1, max_size=3))
@MANY
async def test_no_watch_of_the_leader_ends(bodies: list[Object]) -> None:
    leader = Leader(*bodies)
    with leader.watching() as watches:
        await rest()
        assert not any(watch.done() for watch in watches)

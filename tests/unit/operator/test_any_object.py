"""Whatever objects the API server stores: no loop of the operator ends, and a good run beside them is started."""

import asyncio
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import KINDS, FakeKubernetes
from tests.strategies import kubernetes_objects as objects
from tests.unit.operator.objects import NAMESPACE, SYSTEM, instance_object, run_object
from tests.unit.operator.operator_world import operator_settings
from tests.unit.operator.test_kopf_handlers import keys_of

from sympozium_api import names
from sympozium_api.resources import JOBS
from sympozium_operator.result import Key
from sympozium_operator.scheduling.work_queue import WorkQueue
from sympozium_operator.watches import gateway_api
from sympozium_operator.watches.resync import Resync
from sympozium_operator.wiring import wire

Object = dict[str, Any]
WATCHED = ("Job", "Deployment", "AgentRun", "SympoziumInstance", "SkillPack", "ConfigMap")
MANY = settings(max_examples=30, phases=[Phase.explicit, Phase.generate])


class Leader:
    """One leader with its work queue, beside objects of any shape and one good run."""

    def __init__(self, bodies: list[Object]) -> None:
        self.cluster = FakeKubernetes(FakeClock().now)
        for body in [*bodies, instance_object("good"), run_object("good-run", agentRef="good")]:
            self.cluster.put(body)
        configuration = operator_settings()
        operator = wire(client=self.cluster, clock=FakeClock(), settings=configuration)
        self.queue = WorkQueue(operator.dispatcher, workers=4, loop=asyncio.get_running_loop())
        self.queue.open()
        self.resync = Resync(
            client=self.cluster,
            queue=self.queue,
            fair_queue=operator.fair_queue,
            pruner=operator.pruner,
            api_keys=operator.api_keys,
            skills=operator.skills,
            settings=configuration,
            count_unreadable=operator.metrics.count_unreadable,
            sleep=self._never,
        )

    async def _never(self, seconds: float) -> None:
        raise AssertionError(f"a whole loop failed and waits {seconds} s")

    async def settle(self) -> None:
        """Let the queue reconcile what is ready now."""
        async with asyncio.timeout(20):
            while self.queue.schedule.depth() or self.queue.schedule.running:
                await asyncio.sleep(0)


def _aimed(job: Object) -> Object:
    """Let a Job claim to be the good run's, with whatever other labels it has."""
    owner = {"apiVersion": names.API_VERSION, "kind": "AgentRun", "name": "good-run", "uid": "uid-of-good-run"}
    labels = {"app.kubernetes.io/managed-by": names.FIELD_MANAGER, names.LABEL_RUN: "good-run"}
    metadata = job["metadata"] | {"ownerReferences": [owner | {"controller": True}]}
    return job | {"metadata": metadata | {"labels": job["metadata"].get("labels", {}) | labels}}


@given(st.lists(objects.anything() | objects.jobs().map(_aimed), min_size=1, max_size=4))
@MANY
async def test_no_loop_ends_and_a_good_run_starts(bodies: list[Object]) -> None:
    leader = Leader(bodies)
    resync = leader.resync
    await resync.until_done(resync.seed)
    await leader.settle()
    for body in bodies:
        if body["kind"] == "SympoziumInstance":
            leader.queue.add(Key("pool", NAMESPACE, body["metadata"]["name"]))
    for step in (resync.runs, resync.api_key_secrets, resync.config_maps, resync.pruner.prune):
        await resync.until_done(step)
    await leader.settle()
    await leader.queue.close()
    good = names.job("good-run", "uid-of-good-run")
    assert good in leader.cluster.names(JOBS)


@given(objects.anything())
@MANY
async def test_every_event_can_be_handled(body: Object) -> None:
    [plural] = [kind.plural for kind in KINDS if kind.kind == body["kind"]]
    if body["kind"] in WATCHED:
        await keys_of(plural, body)


@given(st.lists(objects.http_routes() | objects.configs(), min_size=1, max_size=3))
@MANY
async def test_the_gateway_watches_go_on(bodies: list[Object]) -> None:
    cluster, keys = FakeKubernetes(FakeClock().now), asyncio.Queue[Key]()
    for body in bodies:
        cluster.put(body)
    follow = gateway_api.follow(cluster, keys.put_nowait, SYSTEM, (None,), lambda _: None)
    watching = asyncio.ensure_future(follow)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not watching.done()
    watching.cancel()

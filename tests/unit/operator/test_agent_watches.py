"""Watches of instances, runs and agents' Jobs: which events bring which keys."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

import pytest
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.virtual_time import rest
from tests.unit.operator.objects import (
    NAMESPACE,
    instance_object,
    job_object,
    run_object,
    server_run_object,
)

from sympozium_api import names
from sympozium_api.resources import JOBS, RUNS, ResourceType
from sympozium_operator.result import Key
from sympozium_operator.watches import agents
from sympozium_operator.watches.watch_feed import KeysOf, WatchFeed

RUN = Key("run", NAMESPACE, "q1")
_KINDS: dict[str, tuple[KeysOf, Callable[[dict[str, Any]], bool]]] = {
    "SympoziumInstance": (agents.keys_of_instance, lambda _: True),
    "AgentRun": (agents.keys_of_run, agents.run_matters),
    "Job": (agents.keys_of_job, agents.job_matters),
}


def keys_of(body: dict[str, Any], event: str | None = "MODIFIED") -> list[Key]:
    """The keys that an event brings."""
    find, matters = _KINDS[body["kind"]]
    return list(find(body)) if event == "DELETED" or matters(body) else []


@pytest.mark.parametrize(
    ("status", "cancel", "kind", "reconciled"),
    [
        ({}, False, "ADDED", True),
        ({}, False, None, True),
        ({"phase": "Pending"}, False, "MODIFIED", True),
        ({"phase": "Running"}, False, "MODIFIED", False),
        ({"phase": "Running"}, True, "MODIFIED", True),
        ({"phase": "Succeeded"}, False, "DELETED", True),
        ({"phase": "Running"}, False, "DELETED", True),
    ],
)
def test_an_event_of_a_run_is_a_key_unless_it_is_our_own_running(
    status: dict[str, Any], kind: str | None, *, cancel: bool, reconciled: bool
) -> None:
    found = keys_of(run_object(status=status, cancel=cancel), kind)
    assert found == ([Key("run", NAMESPACE, "q1")] if reconciled else [])


def test_an_event_of_a_server_run_is_its_instances_too() -> None:
    assert keys_of(server_run_object(status={"phase": "Serving"})) == [
        Key("run", NAMESPACE, "alice-web-endpoint"),
        Key("instance", NAMESPACE, "alice"),
    ]


@pytest.mark.parametrize(
    ("status", "kind", "reconciled"),
    [
        ({"active": 1}, "ADDED", False),
        ({"active": 1, "ready": 1}, "MODIFIED", False),
        ({"failed": 1}, "MODIFIED", True),
        ({"conditions": [{"type": "FailureTarget", "status": "True"}]}, "MODIFIED", True),
        ({"active": 1}, "DELETED", True),
    ],
)
def test_of_a_jobs_events_only_its_end_matters(status: dict[str, Any], kind: str, *, reconciled: bool) -> None:
    found = keys_of(job_object(status=status), kind)
    assert found == ([Key("run", NAMESPACE, "q1")] if reconciled else [])


def test_each_event_of_an_instance_is_its_key() -> None:
    assert keys_of(instance_object()) == [Key("instance", NAMESPACE, "alice")]


def test_of_a_pools_job_every_event_is_the_pools() -> None:
    idle = job_object(status={"active": 1})
    idle["metadata"]["labels"] = {names.LABEL_WARM: names.IDLE, names.LABEL_INSTANCE: "alice"}
    assert keys_of(idle) == [Key("pool", NAMESPACE, "alice")]


class Followed:
    """A cluster whose instances, runs and Jobs are followed; the keys come in the order in which the queue gets them."""

    def __init__(self, *bodies: dict[str, Any]) -> None:
        self.cluster = FakeKubernetes()
        for body in bodies:
            self.cluster.put(body)
        self.keys: list[Key] = []
        self.spread: list[Key] = []
        feed = WatchFeed(self.cluster, self, lambda _: None)
        self._tasks = [asyncio.ensure_future(watch) for watch in agents.watches(feed, (None,))]

    def add(self, *keys: Key) -> None:
        self.keys += keys

    def add_spread(self, keys: Sequence[Key]) -> None:
        self.spread += keys

    async def settle(self) -> None:
        await rest()

    async def __aenter__(self) -> Self:
        await self.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()


async def test_what_is_there_in_the_beginning_is_reconciled_instances_one_after_the_other() -> None:
    async with Followed(instance_object(), run_object(), job_object(status={"failed": 1})) as followed:
        assert followed.keys == [RUN, RUN]
        assert followed.spread == [Key("instance", NAMESPACE, "alice")]


async def test_a_run_that_ends_leaves_the_watch_and_is_reconciled() -> None:
    async with Followed(run_object(status={"phase": "Running"})) as followed:
        assert followed.keys == []
        followed.cluster.put(run_object(status={"phase": "Succeeded"}))
        await followed.settle()
        assert followed.keys == [RUN]


@pytest.mark.parametrize(("kind", "body"), [(RUNS, run_object(status={"phase": "Running"})), (JOBS, job_object())])
async def test_what_went_while_the_watch_was_broken_is_reconciled(kind: ResourceType, body: dict[str, Any]) -> None:
    async with Followed(body) as followed:
        followed.cluster.expire_watches()
        followed.cluster.remove(kind, body["metadata"]["name"], NAMESPACE)
        async with asyncio.timeout(60):
            while followed.keys != [RUN]:
                await asyncio.sleep(0.01)

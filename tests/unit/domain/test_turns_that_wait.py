"""Requests that wait for their turn of a session: until they are too late, too many, or unwanted."""

import asyncio

import pytest
from tests.fakes.session_world import Replica, SlowKubernetes, end, numbers, turns_of
from tests.integration.conftest import eventually

from sympozium_api import names
from sympozium_domain.sessions.patience import GivenUp, SessionBusy
from sympozium_domain.sessions.session import Session
from sympozium_domain.sessions.turns import NameTaken


class TestARequestThatWaits:
    async def test_for_too_long_is_refused_and_makes_no_run(self, replica: Replica, kubernetes: SlowKubernetes) -> None:
        await replica.say("one")
        for _ in range(2):
            with pytest.raises(SessionBusy):
                await replica.say("two", seconds=0.05)
        assert numbers(turns_of(kubernetes)) == [1]
        assert len(replica.turns._lines) == 0

    async def test_for_others_that_wait_is_refused_too(self, replica: Replica, kubernetes: SlowKubernetes) -> None:
        await replica.say("one")
        waiting = replica.says("two")
        await eventually(lambda: len(replica.turns._lines) == 1)
        with pytest.raises(SessionBusy):
            await replica.say("three", seconds=0.05)
        end(kubernetes, turns_of(kubernetes)[0]["metadata"]["name"])
        await waiting

    async def test_beside_too_many_others_is_refused_at_once(self, replica: Replica) -> None:
        await replica.say("one")
        waiting = [replica.says(f"{number}") for number in range(32)]
        await eventually(lambda: [line.length for line in replica.turns._lines._lines.values()] == [32])
        with pytest.raises(SessionBusy):
            await replica.say("one too many", seconds=600)
        assert not any(task.done() for task in waiting)

    async def test_beside_too_many_bytes_of_any_session_is_refused_at_once(self, replica: Replica) -> None:
        await replica.say("one")
        waiting = [replica.says("x" * 7_000_000) for _ in range(2)]
        await eventually(lambda: replica.budget.used > 14_000_000)
        with pytest.raises(SessionBusy):
            await replica.say("y" * 7_000_000, session="s2", seconds=600)
        assert replica.budget.used > 14_000_000
        await replica.say("short", session="s2")
        replica.given_up.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert replica.budget.used == 0

    async def test_is_given_up_when_its_caller_leaves(self, replica: Replica, kubernetes: SlowKubernetes) -> None:
        await replica.say("one")
        waiting = replica.says("two")
        await eventually(lambda: len(replica.turns._lines) == 1)
        replica.given_up.set()
        with pytest.raises(GivenUp):
            await waiting
        assert numbers(turns_of(kubernetes)) == [1]


async def test_a_strange_run_with_a_turns_name_is_reported_and_not_taken_for_one(
    replica: Replica, kubernetes: SlowKubernetes
) -> None:
    session = Session.of(await replica.instance(), "alice", "s1")
    kubernetes.put(
        {
            "apiVersion": names.API_VERSION,
            "kind": "AgentRun",
            "metadata": {"name": session.run_of(1)},
            "spec": {"agentRef": "demo", "task": "ignore all that"},
        }
    )
    with pytest.raises(NameTaken, match=session.run_of(1)):
        await replica.say("one")

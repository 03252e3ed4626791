"""Turns of sessions at two replicas that race, die and get requests again: one run per turn, in order, each with the turns before it."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from tests.fakes.session_world import (
    Replica,
    SlowKubernetes,
    answering,
    end,
    messages_of,
    numbers,
    put_instance,
    quiet,
    turns_of,
)

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS, Object
from sympozium_domain.sessions.session import Session
from sympozium_runs.key_attempts import KeyReused


async def until_created(kubernetes: SlowKubernetes, count: int) -> list[Object]:
    async with asyncio.timeout(60):
        while len(turns_of(kubernetes)) < count:
            await asyncio.sleep(0.001)
    return turns_of(kubernetes)


def are_one_conversation(runs: list[Object]) -> None:
    """Check that each run's messages are those of the run before it, its answer, and a new one."""
    assert len(messages_of(runs[0])) == 1
    for before, after in pairwise(runs):
        asked = messages_of(before)
        assert messages_of(after)[:-1] == [*asked, f"re: {asked[-1]}"]


class TestATurn:
    async def test_is_a_run_that_is_known_by_its_session_and_number(
        self, replica: Replica, kubernetes: SlowKubernetes
    ) -> None:
        handle = await replica.say("one")
        session = Session.of(await replica.instance(), "alice", "s1")
        [run] = turns_of(kubernetes)
        assert handle.name == run["metadata"]["name"] == session.run_of(1)
        assert run["metadata"]["labels"][names.LABEL_SESSION] == session.label
        assert run["spec"]["sessionKey"] == "s1"
        assert names.ANNOTATION_KEY_EXPIRES in run["metadata"]["annotations"]
        assert numbers(turns_of(kubernetes)) == [1]

    async def test_goes_on_from_the_turns_before_it(self, replica: Replica, kubernetes: SlowKubernetes) -> None:
        async with answering(kubernetes):
            for text in ("one", "two", "three"):
                (await replica.say(text)).close()
        runs = turns_of(kubernetes)
        assert messages_of(runs[-1]) == ["one", "re: one", "two", "re: two", "three"]
        assert [run["metadata"]["annotations"].get(names.ANNOTATION_SESSION_HISTORY) for run in runs] == [
            None,
            "2",
            "4",
        ]

    async def test_waits_for_the_end_of_the_one_before(self, replica: Replica, kubernetes: SlowKubernetes) -> None:
        await replica.say("one")
        second = replica.says("two")
        await quiet()
        assert numbers(turns_of(kubernetes)) == [1]
        end(kubernetes, turns_of(kubernetes)[0]["metadata"]["name"])
        await second
        are_one_conversation(turns_of(kubernetes))

    async def test_of_another_session_scope_or_instance_waits_for_nobody(
        self, replica: Replica, kubernetes: SlowKubernetes
    ) -> None:
        await replica.say("one")
        await replica.say("two", session="s2")
        await replica.say("three", scope="bob")
        assert [messages_of(run) for run in turns_of(kubernetes)] == [["one"], ["two"], ["three"]]

    @pytest.mark.parametrize(
        "status",
        [
            {"phase": "Failed", "error": {"type": "timeout", "message": "Late.", "httpStatus": 504}},
            {"phase": "Cancelled", "error": {"type": "cancelled", "message": "Cancelled.", "httpStatus": 499}},
        ],
        ids=["failed", "cancelled"],
    )
    async def test_leaves_out_one_that_did_not_answer(
        self, replica: Replica, kubernetes: SlowKubernetes, status: dict[str, Any]
    ) -> None:
        async with answering(kubernetes):
            await replica.say("one")
            await quiet()
        await replica.say("two")
        end(kubernetes, turns_of(kubernetes)[1]["metadata"]["name"], **status)
        await replica.say("three")
        assert messages_of(turns_of(kubernetes)[2]) == ["one", "re: one", "three"]

    async def test_beyond_the_bound_loses_the_oldest_and_says_how_many(self, kubernetes: SlowKubernetes) -> None:
        replica = Replica(kubernetes, most_tokens=150)
        async with answering(kubernetes):
            for text in ("a" * 200, "b" * 200, "c" * 200):
                await replica.say(text)
                await quiet(0.01)
        runs = turns_of(kubernetes)
        assert [len(messages_of(run)) for run in runs] == [1, 3, 3]
        assert messages_of(runs[2])[0] == "b" * 200
        assert [run["metadata"]["annotations"].get(names.ANNOTATION_SESSION_LEFT_OUT) for run in runs] == [
            None,
            None,
            "2",
        ]
        await replica.die()

    async def test_fits_into_its_run_even_if_the_bound_would_allow_more(self, kubernetes: SlowKubernetes) -> None:
        replica = Replica(kubernetes, most_tokens=10_000_000)
        async with answering(kubernetes):
            for letter in "abc":
                await replica.say(letter * 100 + "".join(chr(300 + number % 5000) for number in range(300_000)))
                await quiet(0.05)
        runs = turns_of(kubernetes)
        assert all("parts" not in run["spec"]["requestText"] for run in runs)
        assert int(runs[2]["metadata"]["annotations"][names.ANNOTATION_SESSION_LEFT_OUT]) >= 2
        await replica.die()


class TestTwoReplicas:
    @pytest.mark.parametrize("seed", range(4))
    async def test_order_turns_that_are_asked_for_at_once(self, seed: int) -> None:
        kubernetes = SlowKubernetes(seed)
        put_instance(kubernetes)
        first, second = Replica(kubernetes), Replica(kubernetes)
        async with answering(kubernetes):
            await asyncio.gather(*(replica.say(f"{number}") for number in range(6) for replica in (first, second)))
            await quiet(0.02)
        runs = turns_of(kubernetes)
        assert numbers(runs) == list(range(1, 13))
        are_one_conversation(runs)
        for replica in (first, second):
            await replica.die()

    async def test_at_one_of_them_the_first_to_come_is_first(
        self, replica: Replica, kubernetes: SlowKubernetes
    ) -> None:
        tasks = []
        for number in range(8):
            tasks.append(replica.says(f"{number}"))
            await quiet(0.01)
        async with answering(kubernetes):
            await asyncio.gather(*tasks)
        assert [messages_of(run)[-1] for run in turns_of(kubernetes)] == [f"{number}" for number in range(8)]
        assert len(replica.turns._lines) == 0

    async def test_one_that_dies_loses_no_turn_and_leaves_the_session_usable(
        self, replicas: tuple[Replica, Replica], kubernetes: SlowKubernetes
    ) -> None:
        first, second = replicas
        async with answering(kubernetes):
            said = [first.says(f"{number}", key=f"k{number}") for number in range(5)]
            await until_created(kubernetes, 2)
            await first.die()
            again = [second.says(f"{number}", key=f"k{number}") for number in range(5)]
            handles = await asyncio.gather(*again)
        await asyncio.gather(*said, return_exceptions=True)
        runs = turns_of(kubernetes)
        assert sorted(messages_of(run)[-1] for run in runs) == ["0", "1", "2", "3", "4"]
        assert {handle.name for handle in handles} == {run["metadata"]["name"] for run in runs}
        assert numbers(runs) == [1, 2, 3, 4, 5]
        are_one_conversation(runs)

    @pytest.mark.parametrize("seed", range(6))
    async def test_one_that_dies_at_any_moment_makes_no_second_run_of_a_key(self, seed: int) -> None:
        kubernetes = SlowKubernetes(seed)
        put_instance(kubernetes)
        first, second = Replica(kubernetes), Replica(kubernetes)
        async with answering(kubernetes):
            await first.say("zero")
            first.says("one", key="k")
            await quiet(0.0015 * seed)
            await first.die()
            handle = await second.say("one", key="k")
            assert (await handle.end())["type"] == "done"
        assert numbers(turns_of(kubernetes)) == [1, 2]
        are_one_conversation(turns_of(kubernetes))
        await second.die()

    async def test_take_the_same_words_without_a_key_for_two_turns(
        self, replicas: tuple[Replica, Replica], kubernetes: SlowKubernetes
    ) -> None:
        async with answering(kubernetes):
            await asyncio.gather(*(replica.say("yes") for replica in replicas for _ in range(2)))
        assert numbers(turns_of(kubernetes)) == [1, 2, 3, 4]


class TestAnIdempotencyKey:
    async def test_with_two_bodies_at_once_is_of_one_of_them(
        self, replicas: tuple[Replica, Replica], kubernetes: SlowKubernetes
    ) -> None:
        async with answering(kubernetes):
            said = [replica.say(f"at {index}", key="k") for index, replica in enumerate(replicas)]
            outcomes = await asyncio.gather(*said, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(KeyReused) == 1
        assert numbers(turns_of(kubernetes)) == [1]

    async def test_finds_its_turn_again_at_any_replica_after_later_turns(
        self, replicas: tuple[Replica, Replica], kubernetes: SlowKubernetes
    ) -> None:
        first, second = replicas
        async with answering(kubernetes):
            handle = await first.say("one", key="k")
            await first.say("two")
            again = await second.say("one", key="k")
            assert again.name == handle.name
            assert not again.is_new
            assert (await again.end())["type"] == "done"
        assert numbers(turns_of(kubernetes)) == [1, 2]

    async def test_used_at_once_at_two_replicas_makes_one_turn(
        self, replicas: tuple[Replica, Replica], kubernetes: SlowKubernetes
    ) -> None:
        async with answering(kubernetes):
            await replicas[0].say("one")
            handles = await asyncio.gather(*(replica.say("two", key="k") for replica in replicas for _ in range(3)))
        assert len({handle.name for handle in handles}) == 1
        assert numbers(turns_of(kubernetes)) == [1, 2]

    async def test_with_another_body_is_refused(self, replicas: tuple[Replica, Replica]) -> None:
        await replicas[0].say("one", key="k")
        for replica in replicas:
            with pytest.raises(KeyReused):
                await replica.say("other", key="k")

    async def test_of_a_turn_that_is_deleted_meanwhile_loses_no_history(
        self, replica: Replica, kubernetes: SlowKubernetes
    ) -> None:
        first = await replica.say("one")
        end(kubernetes, first.name)
        second = await replica.say("two", key="k")
        await quiet()
        kubernetes.meanwhile("create", RUNS, lambda: kubernetes.remove(RUNS, second.name))
        again = await replica.say("two", key="k")
        assert again.name == second.name
        assert messages_of(kubernetes.object(RUNS, again.name)) == ["one", "re: one", "two"]

    async def test_in_another_session_is_another_key(self, replica: Replica, kubernetes: SlowKubernetes) -> None:
        await replica.say("one", key="k")
        await replica.say("other", key="k", session="s2")
        assert len(turns_of(kubernetes)) == 2

    async def test_of_a_cancelled_turn_makes_another_turn(
        self, replicas: tuple[Replica, Replica], kubernetes: SlowKubernetes
    ) -> None:
        handle = await replicas[0].say("one", key="k")
        error = {"type": "cancelled", "message": "Cancelled.", "httpStatus": 499}
        end(kubernetes, handle.name, phase="Cancelled", error=error)
        handles = await asyncio.gather(*(replica.say("one", key="k") for replica in replicas))
        assert {handle.name for handle in handles} == {turns_of(kubernetes)[1]["metadata"]["name"]}
        assert messages_of(turns_of(kubernetes)[1]) == ["one"]
        assert numbers(turns_of(kubernetes)) == [1, 2]

    async def test_whose_creation_is_in_doubt_makes_one_turn(
        self, replica: Replica, kubernetes: SlowKubernetes
    ) -> None:
        create = kubernetes.create

        async def lost(*words: Any, **options: Any) -> Object:
            await create(*words, **options)
            kubernetes.create = create  # type: ignore[method-assign]
            raise ApiUnavailable("the answer was lost")

        kubernetes.create = lost  # type: ignore[method-assign]
        with pytest.raises(ApiUnavailable):
            await replica.say("one", key="k")
        handle = await replica.say("one", key="k")
        assert [run["metadata"]["name"] for run in turns_of(kubernetes)] == [handle.name]


class TestATurnThatIsGone:
    async def test_is_not_missed_if_a_later_one_is_there(self, replica: Replica, kubernetes: SlowKubernetes) -> None:
        async with answering(kubernetes):
            for text in ("one", "two"):
                await replica.say(text)
                await quiet(0.01)
            kubernetes.remove(RUNS, turns_of(kubernetes)[0]["metadata"]["name"])
            await replica.say("three")
        assert messages_of(turns_of(kubernetes)[-1]) == ["one", "re: one", "two", "re: two", "three"]
        assert numbers(turns_of(kubernetes)) == [2, 3]

    async def test_and_was_the_newest_is_as_if_it_had_not_been(
        self, replica: Replica, kubernetes: SlowKubernetes
    ) -> None:
        async with answering(kubernetes):
            for text in ("one", "two"):
                await replica.say(text)
                await quiet(0.01)
            kubernetes.remove(RUNS, turns_of(kubernetes)[1]["metadata"]["name"])
            handle = await replica.say("three")
        assert messages_of(kubernetes.object(RUNS, handle.name)) == ["one", "re: one", "three"]

    async def test_with_all_others_lets_the_session_begin_again(
        self, replica: Replica, kubernetes: SlowKubernetes
    ) -> None:
        async with answering(kubernetes):
            handle = await replica.say("one")
            await quiet(0.01)
            kubernetes.remove(RUNS, handle.name)
            handle = await replica.say("two")
        assert messages_of(kubernetes.object(RUNS, handle.name)) == ["two"]

    async def test_while_the_next_one_waits_for_it_holds_nobody_up(
        self, replica: Replica, kubernetes: SlowKubernetes
    ) -> None:
        handle = await replica.say("one")
        waiting = replica.says("two")
        await quiet()
        kubernetes.remove(RUNS, handle.name)
        assert messages_of(kubernetes.object(RUNS, (await waiting).name)) == ["two"]

"""The queue is bounded, and no key fills it alone where others share it."""

import pytest

from sympozium_runs.run_queue import QueueFull, RunQueue


def shared(**held: int) -> RunQueue:
    """A queue of several keys, each with so many runs."""
    return filled(RunQueue(shared=lambda: True), **held)


def filled(queue: RunQueue, **held: int) -> RunQueue:
    for key_id, count in held.items():
        for number in range(count):
            queue.add(f"{key_id}-{number}", key_id)
    return queue


def takes(queue: RunQueue, key_id: str, *, of: int) -> bool:
    """Whether a run of this key comes in, if there are so many places."""
    name = f"{key_id}-next-{len(queue)}"
    try:
        queue.reserve(name, key_id, of)
    except QueueFull:
        return False
    queue.add(name, key_id)
    return True


def test_the_only_key_may_fill_it() -> None:
    queue = RunQueue()
    assert [takes(queue, "a", of=3) for _ in range(5)] == [True, True, True, False, False]


def test_of_several_keys_one_alone_gets_half() -> None:
    queue = shared()
    while takes(queue, "greedy", of=100):
        pass
    assert len(queue) == 50


@pytest.mark.parametrize("callers", [1, 2, 5, 20])
def test_keys_that_ask_without_end_get_the_same_and_leave_as_much_to_the_next(callers: int) -> None:
    queue, keys = shared(), [f"key-{number}" for number in range(callers)]
    while sum(takes(queue, key, of=210) for key in keys):
        pass
    assert len(queue) == callers * (210 // (callers + 1))
    assert takes(queue, "another", of=210)


def test_who_holds_more_than_is_free_is_refused_and_who_holds_less_is_not() -> None:
    queue = shared(greedy=50, modest=10)
    assert not takes(queue, "greedy", of=100)
    assert takes(queue, "modest", of=100)


def test_who_came_when_there_was_room_waits_until_enough_of_its_runs_have_ended() -> None:
    queue = shared(greedy=60, modest=20)
    for number in range(21):
        assert not takes(queue, "greedy", of=100)
        queue.remove(f"greedy-{number}")
    assert takes(queue, "greedy", of=100)


def test_it_is_never_longer_than_allowed_however_many_keys_there_are() -> None:
    queue = shared()
    admitted = sum(takes(queue, f"key-{number}", of=10) for number in range(50))
    assert admitted == len(queue) == 10


def test_runs_that_are_being_made_count_as_well() -> None:
    queue = RunQueue()
    queue.reserve("one", "a", 2)
    queue.reserve("two", "a", 2)
    assert not takes(queue, "a", of=2)
    queue.release("one")
    assert takes(queue, "a", of=2)


def test_callers_of_one_run_take_one_place() -> None:
    queue = RunQueue()
    queue.reserve("one", "a", 1)
    queue.reserve("one", "a", 1)
    queue.add("one", "a")
    queue.reserve("one", "a", 1)
    assert len(queue) == 1


def test_a_run_that_was_seen_holds_its_place_until_it_ends_whoever_leaves() -> None:
    queue = RunQueue()
    queue.reserve("one", "a", 1)
    queue.add("one", "a")
    queue.release("one")
    assert not takes(queue, "a", of=1)
    queue.remove("one")
    assert takes(queue, "a", of=1)


def test_a_run_that_came_and_ended_while_it_was_made_holds_none() -> None:
    queue = RunQueue()
    queue.reserve("one", "a", 1)
    queue.add("one", "a")
    queue.remove("one")
    assert takes(queue, "a", of=1)

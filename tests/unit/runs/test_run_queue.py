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


def accepts(queue: RunQueue, key_id: str, *, of: int) -> bool:
    """Return whether the queue accepts a run of this key, if it has so many slots."""
    name = f"{key_id}-next-{len(queue)}"
    try:
        queue.reserve(name, key_id, of)
    except QueueFull:
        return False
    queue.add(name, key_id)
    return True


def test_the_only_key_may_fill_the_queue() -> None:
    queue = RunQueue()
    assert [accepts(queue, "a", of=3) for _ in range(5)] == [True, True, True, False, False]


def test_one_of_several_keys_gets_at_most_half_of_the_slots() -> None:
    queue = shared()
    while accepts(queue, "greedy", of=100):
        pass
    assert len(queue) == 50


@pytest.mark.parametrize("callers", [1, 2, 5, 20])
def test_keys_that_ask_without_end_get_equal_shares_and_leave_one_to_the_next_key(callers: int) -> None:
    queue, keys = shared(), [f"key-{number}" for number in range(callers)]
    while sum(accepts(queue, key, of=210) for key in keys):
        pass
    assert len(queue) == callers * (210 // (callers + 1))
    assert accepts(queue, "another", of=210)


def test_a_key_that_uses_more_slots_than_are_free_is_refused_and_one_that_uses_fewer_is_not() -> None:
    queue = shared(greedy=50, modest=10)
    assert not accepts(queue, "greedy", of=100)
    assert accepts(queue, "modest", of=100)


def test_a_key_that_filled_an_empty_queue_waits_until_enough_of_its_runs_have_ended() -> None:
    queue = shared(greedy=60, modest=20)
    for number in range(21):
        assert not accepts(queue, "greedy", of=100)
        queue.remove(f"greedy-{number}")
    assert accepts(queue, "greedy", of=100)


def test_the_queue_never_exceeds_its_slots_however_many_keys_there_are() -> None:
    queue = shared()
    admitted = sum(accepts(queue, f"key-{number}", of=10) for number in range(50))
    assert admitted == len(queue) == 10


def test_runs_that_are_being_created_use_slots_as_well() -> None:
    queue = RunQueue()
    queue.reserve("one", "a", 2)
    queue.reserve("two", "a", 2)
    assert not accepts(queue, "a", of=2)
    queue.release("one")
    assert accepts(queue, "a", of=2)


def test_callers_of_one_run_use_one_slot() -> None:
    queue = RunQueue()
    queue.reserve("one", "a", 1)
    queue.reserve("one", "a", 1)
    queue.add("one", "a")
    queue.reserve("one", "a", 1)
    assert len(queue) == 1


def test_a_run_seen_in_the_cluster_keeps_its_slot_until_it_ends_whichever_caller_leaves() -> None:
    queue = RunQueue()
    queue.reserve("one", "a", 1)
    queue.add("one", "a")
    queue.release("one")
    assert not accepts(queue, "a", of=1)
    queue.remove("one")
    assert accepts(queue, "a", of=1)


def test_a_run_that_ended_while_it_was_being_created_uses_no_slot() -> None:
    queue = RunQueue()
    queue.reserve("one", "a", 1)
    queue.add("one", "a")
    queue.remove("one")
    assert accepts(queue, "a", of=1)

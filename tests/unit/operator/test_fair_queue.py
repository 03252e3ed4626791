"""Fair queue: first come, first served, fair among keys, and no more than an instance's limit."""

import time

from sympozium_operator.policy.run_input import RunSlot
from sympozium_operator.scheduling.capacity import RunKey
from sympozium_operator.scheduling.fair_queue import SHOW_AFTER, FairQueue

ALICE, BOB = ("team", "alice"), ("team", "bob")

JOB = "a-job"
NODES = "a-placement"


def run(name: str) -> RunKey:
    return "team", name, f"uid-{name}"


def admit(fair_queue: FairQueue, key: RunKey, limit: int, instance: tuple[str, str] = ALICE) -> bool:
    """Return whether the run's turn has come, and if so admit it, as the reconciler does."""
    admitted = slot(fair_queue, key, limit=limit).admitted
    fair_queue.set_limit(instance, limit)
    if admitted:
        fair_queue.admit(key)
    return admitted


def slot(fair_queue: FairQueue, key: RunKey, *, limit: int = 0, waited: float = 0, now: float = 0) -> RunSlot:
    return fair_queue.slot(key, job=JOB, limit=limit, waited=waited, now=now)


def has_job(fair_queue: FairQueue, key: RunKey) -> bool:
    return slot(fair_queue, key).job_known


def is_shown(fair_queue: FairQueue, key: RunKey, now: float) -> bool:
    """Return whether the position of a run that has waited for long is to be written now, and if so record it."""
    due = slot(fair_queue, key, waited=60, now=now).position is not None
    if due:
        fair_queue.mark_shown(key, now)
    return due


def waiting(*names: str, created: str = "2026-01-01T00:00:00Z") -> FairQueue:
    fair_queue = FairQueue()
    for name in names:
        fair_queue.enqueue(run(name), ALICE, created)
    return fair_queue


def test_runs_are_admitted_up_to_the_limit() -> None:
    fair_queue = waiting("a", "b", "c")
    assert [admit(fair_queue, run(name), 2) for name in "abc"] == [True, True, False]
    assert fair_queue.counts() == (2, 1)


def test_an_admitted_run_stays_admitted_however_often_it_asks() -> None:
    fair_queue = waiting("a")
    assert [admit(fair_queue, run("a"), 1) for _ in range(3)] == [True] * 3
    assert fair_queue.counts() == (1, 0)


def test_the_run_that_came_first_is_served_before_the_one_that_asks_first() -> None:
    fair_queue = waiting("a", "b")
    assert not admit(fair_queue, run("b"), 1)
    assert admit(fair_queue, run("a"), 1)


def test_the_creation_time_counts_before_the_arrival() -> None:
    fair_queue = waiting("late", created="2026-01-01T00:00:09Z")
    fair_queue.enqueue(run("early"), ALICE, "2026-01-01T00:00:01Z")
    assert not admit(fair_queue, run("late"), 1)
    assert admit(fair_queue, run("early"), 1)


def test_a_place_that_becomes_free_goes_to_the_next_run() -> None:
    fair_queue = waiting("a", "b", "c")
    admit(fair_queue, run("a"), 1)
    assert fair_queue.next(ALICE) == []
    assert fair_queue.release(run("a"))
    assert fair_queue.next(ALICE) == [run("b")]
    assert not fair_queue.release(run("a"))


def test_a_queued_run_that_goes_does_not_block_the_queue() -> None:
    fair_queue = waiting("a", "b", "c")
    admit(fair_queue, run("a"), 1)
    fair_queue.release(run("b"))
    fair_queue.release(run("a"))
    assert fair_queue.next(ALICE) == [run("c")]


def test_instances_do_not_take_places_from_each_other() -> None:
    fair_queue = waiting("a")
    fair_queue.enqueue(run("b"), BOB, "2026-01-01T00:00:00Z")
    assert admit(fair_queue, run("a"), 1)
    assert admit(fair_queue, run("b"), 1)


def test_a_run_with_a_job_holds_its_place_even_above_the_limit() -> None:
    fair_queue = waiting("a", "b", "c")
    fair_queue.bind_job(run("a"), JOB)
    fair_queue.bind_job(run("b"), JOB)
    assert admit(fair_queue, run("a"), 1)
    assert not admit(fair_queue, run("c"), 1)
    assert has_job(fair_queue, run("a"))
    assert not has_job(fair_queue, run("c"))


def test_a_lower_limit_admits_nobody_until_enough_have_ended() -> None:
    fair_queue = waiting("a", "b", "c")
    assert admit(fair_queue, run("a"), 2)
    assert admit(fair_queue, run("b"), 2)
    assert not admit(fair_queue, run("c"), 1)
    fair_queue.release(run("a"))
    assert fair_queue.next(ALICE) == []
    fair_queue.release(run("b"))
    assert fair_queue.next(ALICE) == [run("c")]


def test_runs_that_are_gone_are_forgotten_but_not_those_that_came_since() -> None:
    fair_queue = waiting("a", "b")
    fair_queue.bind_job(run("a"), JOB)
    mark = fair_queue.mark()
    fair_queue.enqueue(run("new"), ALICE, "2026-01-01T00:00:00Z")
    fair_queue.retain([run("b")], before=mark)
    assert fair_queue.counts() == (0, 2)
    assert not has_job(fair_queue, run("a"))


def test_a_run_that_is_gone_is_released_by_its_name() -> None:
    fair_queue = waiting("a", "b")
    assert fair_queue.release_named("team", "a")
    assert not fair_queue.release_named("team", "a")
    assert fair_queue.counts() == (0, 1)


def test_nobody_is_admitted_while_a_pod_waits_for_room() -> None:
    fair_queue = waiting("a", "b", "c")
    fair_queue.enqueue(run("d"), BOB, "2026-01-01T00:00:00Z")
    fair_queue.bind_job(run("a"), JOB)
    fair_queue.inspected(run("a"), NODES, waits=True)
    assert fair_queue.cluster_full
    assert not admit(fair_queue, run("b"), 10)
    assert not admit(fair_queue, run("d"), 10)
    assert admit(fair_queue, run("a"), 10)
    fair_queue.inspected(run("a"), NODES, waits=False)
    assert fair_queue.next_of_all() == [run("b"), run("c"), run("d")]
    assert admit(fair_queue, run("b"), 10)


def test_a_run_that_ends_while_it_waits_for_room_holds_nobody_up() -> None:
    fair_queue = waiting("a", "b")
    fair_queue.bind_job(run("a"), JOB)
    fair_queue.inspected(run("a"), NODES, waits=True)
    fair_queue.release(run("a"))
    fair_queue.inspected(run("a"), NODES, waits=True)
    assert not fair_queue.cluster_full
    assert fair_queue.next_of_all() == [run("b")]


def test_patience_with_refused_jobs_begins_again_with_each_cause() -> None:
    fair_queue = waiting("a")
    assert [fair_queue.refuse_job(run("a"), now) for now in (0, 5)] == [0, 5]
    fair_queue.exceeds_quota(run("a"))
    assert [fair_queue.refuse_job(run("a"), now) for now in (10, 15)] == [0, 5]
    fair_queue.bind_job(run("a"), JOB)
    assert [fair_queue.refuse_job(run("a"), now) for now in (20, 25)] == [0, 5]
    assert [fair_queue.refuse_job(run("a"), now) for now in (300, 305)] == [0, 5], "it waited for nodes meanwhile"


def queued(**line: str) -> FairQueue:
    """Runs of several keys, as they came: ``queued(a="hal", b="ann")``."""
    fair_queue = FairQueue()
    for name, key_id in line.items():
        fair_queue.enqueue(run(name), ALICE, "2026-01-01T00:00:00Z", key_id=key_id)
    return fair_queue


def in_turn(fair_queue: FairQueue, limit: int) -> list[str]:
    admit(fair_queue, run("a"), limit)
    fair_queue.release(run("a"))
    return [name for _, name, _ in fair_queue.next(ALICE)]


def test_a_key_that_asks_for_much_makes_only_its_own_runs_wait() -> None:
    fair_queue = queued(a="hal", b="hal", c="hal", d="hal", e="ann", f="bob", g="ann")
    assert in_turn(fair_queue, 6) == ["b", "e", "f", "c", "g", "d"]


def test_what_a_key_has_going_on_counts_too() -> None:
    fair_queue = queued(a="hal", b="hal", c="hal", d="ann", e="ann")
    for name in "abc":
        fair_queue.bind_job(run(name), JOB)
    fair_queue.enqueue(run("f"), ALICE, "2026-01-01T00:00:00Z", key_id="hal")
    assert admit(fair_queue, run("d"), 4)
    fair_queue.release(run("a"))
    assert [fair_queue.position(run(name)) for name in "ef"] == [1, 2]


def test_a_position_moves_up_as_others_start_or_leave() -> None:
    fair_queue = queued(a="hal", b="hal", c="hal")
    assert [fair_queue.position(run(name)) for name in "abc"] == [1, 2, 3]
    fair_queue.bind_job(run("a"), JOB)
    fair_queue.release(run("b"))
    assert fair_queue.position(run("c")) == 1


def test_a_position_is_shown_from_time_to_time_only() -> None:
    fair_queue = queued(a="hal")
    assert [is_shown(fair_queue, run("a"), now) for now in (0.0, 1.0, 14.0, 15.0, 16.0)] == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_a_position_is_not_computed_for_a_run_that_has_hardly_waited() -> None:
    fair_queue = queued(a="hal", b="hal")
    fresh = slot(fair_queue, run("b"), waited=SHOW_AFTER - 0.5)
    assert (fresh.position, fresh.requeue_after) == (None, 0.5)
    waited = slot(fair_queue, run("b"), waited=SHOW_AFTER)
    assert (waited.position, waited.requeue_after) == (2, 15)


def test_reading_a_slot_changes_nothing() -> None:
    fair_queue = queued(a="hal", b="hal")
    assert [slot(fair_queue, run("a"), limit=1, waited=60).admitted for _ in range(2)] == [True, True]
    assert fair_queue.counts() == (0, 2)
    assert slot(fair_queue, run("never-seen"), limit=1) == RunSlot()


def test_an_offer_is_remembered() -> None:
    fair_queue = queued(a="hal")
    assert not slot(fair_queue, run("a")).offered
    fair_queue.mark_offered(run("a"))
    assert slot(fair_queue, run("a")).offered


def test_a_long_queue_costs_little() -> None:
    fair_queue, began = FairQueue(), time.process_time()
    for number in range(20_000):
        fair_queue.enqueue(run(str(number)), ALICE, "2026-01-01T00:00:00Z", key_id=f"key-{number % 7}")
    for number in range(20_000):
        admit(fair_queue, run(str(number)), 20)
        if number < 2_000:
            fair_queue.release(run(str(number)))
    assert time.process_time() - began < 5


def test_nothing_is_left_of_instances_without_runs() -> None:
    fair_queue = waiting("a", "b")
    fair_queue.bind_job(run("a"), JOB)
    fair_queue.release(run("a"))
    fair_queue.release(run("b"))
    assert fair_queue.counts() == (0, 0)
    assert fair_queue.next(ALICE) == []


def test_the_release_of_an_unknown_name_costs_the_same_however_many_runs_there_are() -> None:
    fair_queue = waiting(*(f"r{number}" for number in range(5000)))
    before = time.process_time()
    for number in range(2000):
        fair_queue.release_named("evil", f"x{number}")
    assert time.process_time() - before < 0.1

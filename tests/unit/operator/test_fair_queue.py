"""First come, first served, and no more than an instance's limit."""

import time

from sympozium_operator.scheduling.fair_queue import Admission

ALICE, BOB = ("team", "alice"), ("team", "bob")

JOB = "a-job"


def run(name: str) -> tuple[str, str, str]:
    return "team", name, f"uid-{name}"


def waiting(*names: str, created: str = "2026-01-01T00:00:00Z") -> Admission:
    admission = Admission()
    for name in names:
        admission.note(run(name), ALICE, created)
    return admission


def test_runs_are_admitted_up_to_the_limit() -> None:
    admission = waiting("a", "b", "c")
    assert [admission.admit(run(name), 2) for name in "abc"] == [True, True, False]
    assert admission.counts() == (2, 1)


def test_an_admitted_run_stays_admitted_however_often_it_asks() -> None:
    admission = waiting("a")
    assert [admission.admit(run("a"), 1) for _ in range(3)] == [True] * 3
    assert admission.counts() == (1, 0)


def test_who_asks_first_is_not_served_before_who_came_first() -> None:
    admission = waiting("a", "b")
    assert not admission.admit(run("b"), 1)
    assert admission.admit(run("a"), 1)


def test_the_creation_time_counts_before_the_arrival() -> None:
    admission = waiting("late", created="2026-01-01T00:00:09Z")
    admission.note(run("early"), ALICE, "2026-01-01T00:00:01Z")
    assert not admission.admit(run("late"), 1)
    assert admission.admit(run("early"), 1)


def test_a_place_that_becomes_free_is_the_next_ones() -> None:
    admission = waiting("a", "b", "c")
    admission.admit(run("a"), 1)
    assert admission.next(ALICE) == []
    assert admission.release(run("a"))
    assert admission.next(ALICE) == [run("b")]
    assert not admission.release(run("a"))


def test_a_waiting_run_that_goes_does_not_block_the_line() -> None:
    admission = waiting("a", "b", "c")
    admission.admit(run("a"), 1)
    admission.release(run("b"))
    admission.release(run("a"))
    assert admission.next(ALICE) == [run("c")]


def test_instances_do_not_take_one_anothers_places() -> None:
    admission = waiting("a")
    admission.note(run("b"), BOB, "2026-01-01T00:00:00Z")
    assert admission.admit(run("a"), 1)
    assert admission.admit(run("b"), 1)


def test_a_run_with_a_job_holds_its_place_even_above_the_limit() -> None:
    admission = waiting("a", "b", "c")
    admission.start(run("a"), JOB)
    admission.start(run("b"), JOB)
    assert admission.admit(run("a"), 1)
    assert not admission.admit(run("c"), 1)
    assert admission.started(run("a"), JOB)
    assert not admission.started(run("c"), JOB)


def test_a_lower_limit_admits_nobody_until_enough_have_ended() -> None:
    admission = waiting("a", "b", "c")
    assert admission.admit(run("a"), 2)
    assert admission.admit(run("b"), 2)
    assert not admission.admit(run("c"), 1)
    admission.release(run("a"))
    assert admission.next(ALICE) == []
    admission.release(run("b"))
    assert admission.next(ALICE) == [run("c")]


def test_runs_that_are_gone_are_forgotten_but_not_those_that_came_since() -> None:
    admission = waiting("a", "b")
    admission.start(run("a"), JOB)
    mark = admission.arrivals()
    admission.note(run("new"), ALICE, "2026-01-01T00:00:00Z")
    admission.keep_only([run("b")], before=mark)
    assert admission.counts() == (0, 2)
    assert not admission.started(run("a"), JOB)


def test_a_run_that_is_gone_is_released_by_its_name() -> None:
    admission = waiting("a", "b")
    admission.release_named("team", "a")
    admission.release_named("team", "a")
    assert admission.counts() == (0, 1)


def test_nobody_is_admitted_while_a_pod_waits_for_room() -> None:
    admission = waiting("a", "b", "c")
    admission.note(run("d"), BOB, "2026-01-01T00:00:00Z")
    admission.start(run("a"), JOB)
    admission.unplaced(run("a"), waits=True)
    assert admission.full
    assert not admission.admit(run("b"), 10)
    assert not admission.admit(run("d"), 10)
    assert admission.admit(run("a"), 10)
    admission.unplaced(run("a"), waits=False)
    assert admission.turns() == [run("b"), run("c"), run("d")]
    assert admission.admit(run("b"), 10)


def test_a_run_that_ends_while_it_waits_for_room_holds_nobody_up() -> None:
    admission = waiting("a", "b")
    admission.start(run("a"), JOB)
    admission.unplaced(run("a"), waits=True)
    admission.release(run("a"))
    admission.unplaced(run("a"), waits=True)
    assert not admission.full
    assert admission.turns() == [run("b")]


def lines(**line: str) -> Admission:
    """Runs of several keys, as they came: ``lines(a="hal", b="ann")``."""
    admission = Admission()
    for name, key_id in line.items():
        admission.note(run(name), ALICE, "2026-01-01T00:00:00Z", key_id=key_id)
    return admission


def in_turn(admission: Admission, limit: int) -> list[str]:
    admission.admit(run("a"), limit)
    admission.release(run("a"))
    return [name for _, name, _ in admission.next(ALICE)]


def test_a_key_that_asks_for_much_makes_only_its_own_runs_wait() -> None:
    admission = lines(a="hal", b="hal", c="hal", d="hal", e="ann", f="bob", g="ann")
    assert in_turn(admission, 6) == ["b", "e", "f", "c", "g", "d"]


def test_what_a_key_has_going_on_counts_too() -> None:
    admission = lines(a="hal", b="hal", c="hal", d="ann", e="ann")
    for name in "abc":
        admission.start(run(name), JOB)
    admission.note(run("f"), ALICE, "2026-01-01T00:00:00Z", key_id="hal")
    assert admission.admit(run("d"), 4)
    admission.release(run("a"))
    assert [admission.position(run(name)) for name in "ef"] == [1, 2]


def test_a_position_moves_up_as_others_start_or_leave() -> None:
    admission = lines(a="hal", b="hal", c="hal")
    assert [admission.position(run(name)) for name in "abc"] == [1, 2, 3]
    admission.start(run("a"), JOB)
    admission.release(run("b"))
    assert admission.position(run("c")) == 1


def test_a_position_is_shown_from_time_to_time_only() -> None:
    admission = lines(a="hal")
    assert [admission.is_to_be_shown(run("a"), now) for now in (0.0, 1.0, 14.0, 15.0, 16.0)] == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_a_long_line_is_no_burden() -> None:
    admission, began = Admission(), time.process_time()
    for number in range(20_000):
        admission.note(run(str(number)), ALICE, "2026-01-01T00:00:00Z", key_id=f"key-{number % 7}")
    for number in range(20_000):
        admission.admit(run(str(number)), 20)
        if number < 2_000:
            admission.release(run(str(number)))
    assert time.process_time() - began < 5


def test_nothing_is_left_of_instances_without_runs() -> None:
    admission = waiting("a", "b")
    admission.start(run("a"), JOB)
    admission.release(run("a"))
    admission.release(run("b"))
    assert admission.counts() == (0, 0)
    assert admission.next(ALICE) == []

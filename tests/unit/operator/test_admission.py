"""First come, first served, and no more than an instance's limit."""

from sympozium_operator.policy.admission import Admission

ALICE, BOB = ("team", "alice"), ("team", "bob")


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
    admission.start(run("a"))
    admission.start(run("b"))
    assert admission.admit(run("a"), 1)
    assert not admission.admit(run("c"), 1)
    assert admission.started(run("a"))
    assert not admission.started(run("c"))


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
    admission.start(run("a"))
    mark = admission.arrivals()
    admission.note(run("new"), ALICE, "2026-01-01T00:00:00Z")
    admission.keep_only([run("b")], before=mark)
    assert admission.counts() == (0, 2)
    assert not admission.started(run("a"))


def test_a_run_that_is_gone_is_released_by_its_name() -> None:
    admission = waiting("a", "b")
    admission.release_named("team", "a")
    admission.release_named("team", "a")
    assert admission.counts() == (0, 1)


def test_nobody_is_admitted_while_a_pod_waits_for_room() -> None:
    admission = waiting("a", "b", "c")
    admission.note(run("d"), BOB, "2026-01-01T00:00:00Z")
    admission.start(run("a"))
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
    admission.start(run("a"))
    admission.unplaced(run("a"), waits=True)
    admission.release(run("a"))
    admission.unplaced(run("a"), waits=True)
    assert not admission.full
    assert admission.turns() == [run("b")]


def test_nothing_is_left_of_instances_without_runs() -> None:
    admission = waiting("a", "b")
    admission.start(run("a"))
    admission.release(run("a"))
    admission.release(run("b"))
    assert admission.counts() == (0, 0)
    assert admission.next(ALICE) == []

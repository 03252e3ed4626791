"""Number of pods that may start at a time: values and a clock."""

from sympozium_operator.scheduling.start_limit import COLD_SECONDS, StartLimit


def test_runs_of_their_own_pods_leave_less_room_for_refills_and_one_idle_pod_may_always_start() -> None:
    limit = StartLimit(6)
    assert limit.room(0, 0) == 6
    for number in range(4):
        limit.begin_cold(("team", f"r{number}", "u"), 0)
    assert limit.room(0, 0) == 2
    assert limit.room(1, 0) == 1
    for number in range(4, 9):
        limit.begin_cold(("team", f"r{number}", "u"), 0)
    assert limit.room(0, 0) == 1
    assert limit.room(1, 0) == 0, "another pool has it"
    limit.end_cold(("team", "r0", "u"))
    assert limit.cold(0) == 8
    assert limit.room(0, COLD_SECONDS + 1) == 6, "a pod that never works is not counted for ever"


def test_the_limit_rises_while_starts_take_the_same_time_however_many_there_are() -> None:
    limit = StartLimit(6)
    for _ in range(20):
        limit.measure(1.0, starting=int(limit.value))
    assert limit.value > 12


def test_the_limit_falls_to_what_the_nodes_start_without_slowing_down() -> None:
    limit = StartLimit(6)
    limit.measure(1.0, starting=1)
    for _ in range(30):
        starting = max(1, int(limit.value))
        limit.measure(max(1.0, starting / 2), starting)
    assert 3 <= limit.value <= 5

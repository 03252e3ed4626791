"""Rates that are not held are reported, never raised; and tables of figures that were measured elsewhere."""

import pytest
from tests.bench import machine, rates, report
from tests.bench.rates import Attempt

CAPACITY = 130.0


async def load(rate: float) -> Attempt[None]:
    """A machine that answers CAPACITY requests a second, and loses one of those that come faster."""
    return Attempt(rate, min(rate, CAPACITY), int(rate > CAPACITY), None)


async def test_a_rate_that_is_held() -> None:
    attempts = await rates.held(load, 96)
    assert [attempt.wanted for attempt in attempts] == [6, 12, 24, 48, 96]
    assert rates.text(attempts, 96) == "96/s held"


async def test_a_load_is_stepped_up_to_what_is_held() -> None:
    attempts = await rates.held(load, 200)
    assert [attempt.wanted for attempt in attempts] == [12.5, 25, 50, 100, 200, 200, 150, 150, 125]
    assert rates.highest(attempts) == 125
    assert rates.text(attempts, 200) == "200/s not held, 130/s at 200/s, 1 failed; 125/s held"


async def test_other_work_for_a_moment_is_not_a_rate_that_is_not_held() -> None:
    tried: list[float] = []

    async def now_and_then(rate: float) -> Attempt[None]:
        tried.append(rate)
        return Attempt(rate, rate if tried != [12.5, 25, 50, 100] else 84.0, 0, None)

    attempts = await rates.held(now_and_then, 200)
    assert [attempt.wanted for attempt in attempts] == [12.5, 25, 50, 100, 100, 200]
    assert rates.text(attempts, 200) == "200/s held"


async def test_a_rate_that_is_held_for_seconds_only_is_not_held() -> None:
    attempts = rates.corrected(await rates.held(load, 96), Attempt(96, 80.0, 0, None))
    assert rates.text(attempts, 96) == "96/s not held, 80/s at 96/s; 48/s held"
    attempts = rates.corrected(attempts, Attempt(48, 40.0, 0, None))
    assert rates.text(attempts, 96) == "96/s not held, 80/s at 96/s; 24/s held"
    assert rates.highest(rates.corrected(attempts[:1], Attempt(6, 5.0, 0, None))) == 6


async def test_a_machine_that_holds_nothing_ends_the_search() -> None:
    async def never(rate: float) -> Attempt[None]:
        return Attempt(rate, 0.0, int(rate), None)

    attempts = await rates.held(never, 160)
    assert rates.highest(attempts) == 10
    assert rates.text(attempts, 160) == "160/s not held, 0/s at 10/s, 10 failed; no lower rate held"


def figures() -> report.Figures:
    return {
        "load_average": [1.0, 1.0, 1.0],
        "machine": {"quiet": False, "busy_cores": 1.4, "waited_s": 120, "million_additions_ms": 60.0},
        "unquiet_parts": ["operator", "operator", "warm"],
        "bursts": {
            "10": {
                "first_token_s": report.spread([1.0, 2.0]),
                "total_s": report.spread([1.0, 2.0]),
                "per_second": 1.6,
                "lost": 0,
                "jobs_per_second": {"bare": 2.4, "token": 2.0},
                "cpu_ms_per_run": {"API server": 230.0, "operator": 55.0},
            }
        },
    }


def test_a_busy_machine_is_named_and_figures_are_ratios() -> None:
    text = report.tables(figures())
    assert "**not quiet**" in text
    assert "Other work had not ended before these parts began: operator; warm." in " ".join(text.split())
    assert all(len(line) <= 120 for line in text.splitlines() if not line.startswith("|"))
    assert "| ... runs as a multiple of Jobs with a token volume | 0.80 x | >= 0.92 x |" in text
    assert "| API server | 230 |" in text
    assert "| all | 285 |" in text


def test_the_tables_of_a_page_are_replaced() -> None:
    page = f"before\n{report.BEGIN}\nstale\n{report.END}\nafter\n"
    written = report.with_tables(page, figures())
    assert written.startswith(f"before\n{report.BEGIN}\n\nThe machine was")
    assert written.endswith(f"{report.END}\nafter\n")
    assert "stale" not in written
    assert report.with_tables(written, figures()) == written


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no marks"):
        report.with_tables("text", figures())


def test_what_lasting_pods_used_is_not_the_agents() -> None:
    earlier = machine.ProcessorTime({"operator": {1: 1.0}, "kubelet": {9: 5.0}}, {2: 1.0}, 10.0, 100.0)
    later = machine.ProcessorTime({"operator": {1: 1.5}, "kubelet": {9: 6.0}}, {2: 1.25, 3: 4.0}, 12.0, 110.0)
    used = later.since(earlier)
    assert used["operator"] == 0.5
    assert used["other pods"] == 0.25
    assert used["agents"] == 2.0 - 0.5 - 0.25
    assert used["runc, shims and the rest"] == 10.0 - 1.0 - 2.0


def test_this_machine_can_be_read() -> None:
    before = machine.ProcessorTime.now()
    assert machine.additions(1000) >= 0
    assert all(seconds >= 0 for seconds in machine.ProcessorTime.now().since(before).values())

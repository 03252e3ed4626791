"""The bench of the index in a short form: ``python -m tests.bench.run_index`` has the figures of 20,000 runs."""

from tests.bench.run_index import measure


async def test_the_index_is_whole_and_costs_little_processor_time() -> None:
    """In seconds of a loop of a million additions, because machines differ and are busy. Bounds are several times what it takes."""
    figures = await measure(1000, lists=16, changes=5)
    yardstick = figures.million_additions_ms / 1000
    assert figures.whole_cpu_seconds / yardstick < 100
    assert figures.list_cpu_ms / 1000 / yardstick < 5
    assert figures.extra_mb < 40
    assert figures.change_p50_ms < 3000

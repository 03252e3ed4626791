"""The memory of a web-proxy that holds much: a small form of the part ``held`` of ``make bench``."""

from tests.bench import held_bytes


async def test_a_web_proxy_holds_neither_waiting_bodies_nor_each_token_of_an_answer() -> None:
    """40 bodies of 1 MB would take 40 MB and more, and 32,000 tokens 50 MB, if they were held as they came."""
    figures = (await held_bytes.measure(waiting=40, streams=4, tokens=8_000))["held_mb"]
    assert figures["peak"] < 1.6 * figures["idle"], figures
    assert figures["start_peak"] < 1.4 * figures["idle"], figures
    assert max(figures["peak"], figures["start_peak"]) < held_bytes.GOAL_MB, figures

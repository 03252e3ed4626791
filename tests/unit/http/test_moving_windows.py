"""Rates over moving windows in memory, and what happens while the server that counts for all replicas is away."""

import asyncio
import socket
import time

import pytest

from sympozium_api.rate_limit import CallRate
from sympozium_http import moving_windows
from sympozium_http.moving_windows import LenientWindows, MovingWindows, Verdict, WindowsUnavailable

TWO = CallRate(2, 60)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the windows, for a test to move."""
    moment = [time.time()]
    monkeypatch.setattr("sympozium_http.moving_windows.time.time", lambda: moment[0])
    return moment


async def test_a_rate_holds_in_every_window(moment: list[float]) -> None:
    windows = MovingWindows("", "test")
    assert [(await windows.take(TWO, "a")).allowed for _ in range(3)] == [True, True, False]
    moment[0] += 59
    assert not (await windows.take(TWO, "a")).allowed
    moment[0] += 2
    assert (await windows.take(TWO, "a")).allowed


async def test_a_verdict_has_what_remains_and_when_one_more_is_allowed(moment: list[float]) -> None:
    windows = MovingWindows("", "test")
    first = await windows.take(TWO, "a")
    assert first.remaining == 1
    assert first.reset_seconds == pytest.approx(60)
    moment[0] += 20.5
    await windows.take(TWO, "a")
    refused = await windows.take(TWO, "a")
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert refused.reset_seconds == pytest.approx(39.5)
    assert refused.retry_after == 40


async def test_keys_and_rates_are_counted_apart() -> None:
    windows = MovingWindows("", "test")
    for key in (("runs", "a"), ("runs", "b"), ("requests", "a")):
        assert [(await windows.take(TWO, *key)).allowed for _ in range(3)] == [True, True, False]
    assert (await windows.take(CallRate(3, 60), "runs", "a")).allowed


async def test_windows_that_have_passed_are_dropped(moment: list[float]) -> None:
    windows = MovingWindows("", "test")
    for number in range(3000):
        moment[0] += 0.1
        await windows.take(TWO, str(number))
    assert len(windows._storage._times) <= 2 * 1000


class Away:
    """A server that does not answer, as long as a test says so."""

    def __init__(self) -> None:
        self.is_away, self.asked = True, 0

    async def take(self, rate: CallRate, *key: str) -> Verdict:  # noqa: ARG002 - part of the interface
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise WindowsUnavailable("TimeoutError")
        return Verdict(allowed=True, rate=rate, remaining=1, reset_seconds=1)

    async def close(self) -> None: ...


async def test_a_replica_counts_by_itself_while_the_server_is_away_and_asks_it_again_after_a_pause() -> None:
    server, failures, now = Away(), [], [0.0]
    windows = LenientWindows(server, on_failure=lambda: failures.append(1), clock=lambda: now[0])
    assert [(await windows.take(TWO, "a")).allowed for _ in range(3)] == [True, True, False]
    assert (server.asked, len(failures)) == (1, 3)
    server.is_away, now[0] = False, moving_windows.PAUSE_SECONDS
    assert (await windows.take(TWO, "a")).allowed
    assert (server.asked, len(failures)) == (2, 3)


async def test_while_the_server_is_away_only_one_request_at_a_time_waits_for_it() -> None:
    server, now = Away(), [0.0]
    windows = LenientWindows(server, on_failure=lambda: None, clock=lambda: now[0])
    await windows.take(TWO, "a")
    now[0] += moving_windows.PAUSE_SECONDS
    await asyncio.gather(*(windows.take(TWO, str(number)) for number in range(10)))
    assert server.asked == 2


async def test_a_server_that_accepts_and_never_answers_holds_no_request() -> None:
    """The sockets' own timeouts count each attempt, and the client makes several."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        windows = MovingWindows(f"redis://127.0.0.1:{server.getsockname()[1]}", "test", seconds=0.2)
        began = time.monotonic()
        with pytest.raises(WindowsUnavailable):
            await windows.take(TWO, "a")
        assert time.monotonic() - began < 30
        await windows.close()

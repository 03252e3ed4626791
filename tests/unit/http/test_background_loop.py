"""Loops beside a server: started again when they fail, until that cannot help."""

import asyncio

import pytest

from sympozium_http import background_loop
from sympozium_http.background_loop import keep_running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_loop, "_FIRST_BACKOFF", 0.001)
    monkeypatch.setattr(background_loop, "_LONGEST_BACKOFF", 0.001)


async def test_a_loop_that_fails_or_ends_is_started_again() -> None:
    starts, failures, running = 0, list[int](), asyncio.Event()

    async def loop() -> None:
        nonlocal starts
        starts += 1
        match starts:
            case 1:
                raise ValueError("a bug")
            case 2:
                return
        running.set()
        await asyncio.Event().wait()

    keeping = asyncio.create_task(keep_running("runs", loop, on_failure=lambda: failures.append(starts)))
    await asyncio.wait_for(running.wait(), 60)
    assert not keeping.done()
    assert failures == [1, 2]
    keeping.cancel()


async def test_a_loop_that_fails_for_good_ends_with_its_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_loop, "_GIVE_UP_SECONDS", 0.05)

    async def loop() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await asyncio.wait_for(keep_running("runs", loop), 60)


async def test_a_loop_that_the_server_can_spare_is_started_again_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_loop, "_GIVE_UP_SECONDS", 0)
    starts, running = 0, asyncio.Event()

    async def loop() -> None:
        nonlocal starts
        starts += 1
        if starts < 5:
            raise ValueError("away")
        running.set()
        await asyncio.Event().wait()

    keeping = asyncio.create_task(keep_running("index", loop, gives_up=False))
    await asyncio.wait_for(running.wait(), 60)
    assert not keeping.done()
    keeping.cancel()

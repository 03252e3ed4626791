"""The agent in a thread beside a test's event loop: it waits as in its pod, while the loop serves what it talks to."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

from sympozium_agent.agent import Agent
from sympozium_agent.agent_settings import AgentSettings, Timeouts
from sympozium_agent.waiting import Cancelled, Event, Scope

T = TypeVar("T")


def started(
    settings: AgentSettings, stop: Event, *, environ: dict[str, str], timeouts: Timeouts
) -> "asyncio.Future[int]":
    """Start an agent; the future has its exit code. Cancelling the future is SIGKILL: all connections are closed."""
    return in_thread(lambda scope: Agent(settings, stop, environ=environ, timeouts=timeouts, scope=scope).run())


def in_thread(work: Callable[[Scope], T]) -> "asyncio.Future[T]":
    """Run a function in a thread that does not keep the process alive. Cancelling the future cancels the function's scope."""
    loop, killed = asyncio.get_running_loop(), Event()
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda _: killed.set())

    def settle(how: Callable[[Any], object], value: Any) -> None:
        if not future.done():
            how(value)

    def run() -> None:
        outcome: tuple[Callable[[Any], object], Any]
        try:
            outcome = future.set_result, work(Scope(killed))
        except Cancelled:
            outcome = future.cancel, None
        except BaseException as failure:  # noqa: BLE001 - whoever waits for the future gets it
            outcome = future.set_exception, failure
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, *outcome)

    Thread(target=run, daemon=True).start()
    return future

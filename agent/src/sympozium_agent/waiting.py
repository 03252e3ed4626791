"""Waiting: a thread waits for sockets, other threads and signals at once, until a deadline or until it is cancelled.

All that blocks in the agent waits here, as in Go with a context: a function that may wait takes a ``Scope``. An event is a pipe,
so that it can be polled beside a socket, and so that the kernel's signals wake whoever polls.

asyncio would do the same. Its import costs five times the processor time of a Python that does nothing.
"""

from __future__ import annotations

import os
from _thread import start_new_thread
from contextvars import copy_context
from select import POLLIN, poll
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_FOREVER = float("inf")
_LONGEST_POLL = 3600.0
"""Seconds of one poll, whose milliseconds are a C int."""


class Cancelled(BaseException):
    """The scope was cancelled. No failure, so ``except Exception`` lets it pass."""


class DeadlineExceeded(Exception):
    """The scope's time is over."""


class Event:
    """A flag that any thread may set, and a signal's handler too; others wait for it, also beside sockets."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._is_set = False

    def __del__(self) -> None:
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        """Return the descriptor that is readable while the flag is set."""
        return self._reader

    def wakeup_fd(self) -> int:
        """Return the descriptor for ``signal.set_wakeup_fd``: a signal then wakes all who wait for the flag."""
        return self._writer

    def set(self) -> None:
        """Set the flag."""
        if not self._is_set:
            self._is_set = True
            os.write(self._writer, b"\0")

    def clear(self) -> None:
        """Take the flag back. Only for an event that one thread clears: what was set before has to be looked for after this."""
        if self._is_set:
            os.read(self._reader, 64)
            self._is_set = False

    def is_set(self) -> bool:
        """Return True if the flag is set."""
        return self._is_set


class Scope:
    """Permission to wait: until its deadline, and until one of its events is set, which cancels it."""

    def __init__(self, *events: Event, deadline: float = _FOREVER) -> None:
        self._events = events
        self._deadline = deadline

    @property
    def events(self) -> tuple[Event, ...]:
        """Events of which each cancels the scope."""
        return self._events

    def remaining(self) -> float:
        """Return the seconds until the deadline."""
        return self._deadline - monotonic()

    def within(self, seconds: float) -> Scope:
        """Return a scope that ends with this one, and after these seconds at the latest."""
        return Scope(*self._events, deadline=min(self._deadline, monotonic() + seconds))

    def until(self, *events: Event) -> Scope:
        """Return a scope that ends with this one, and that these events cancel too."""
        return Scope(*self._events, *events, deadline=self._deadline)

    def check(self) -> None:
        """Raise Cancelled or DeadlineExceeded if the scope has ended."""
        self._poll({}, 0)

    def sleep(self, seconds: float = _FOREVER) -> None:
        """Wait for these seconds. Raises Cancelled and DeadlineExceeded."""
        self.wait(seconds=seconds)

    def wait(self, *events: Event, seconds: float = _FOREVER) -> bool:
        """Wait until one of the events is set; return False if none is after these seconds. Raises as ``check``."""
        return bool(self._poll({event.fileno(): POLLIN for event in events}, seconds))

    def wait_for(self, descriptor: int, readiness: int, *events: Event) -> None:
        """Wait until a descriptor is ready for ``POLLIN``, ``POLLOUT`` or both, or one of the events is set. Raises as ``check``."""
        self._poll({descriptor: readiness} | {event.fileno(): POLLIN for event in events}, _FOREVER)

    def _poll(self, waited: dict[int, int], seconds: float) -> set[int]:
        ends_at = monotonic() + seconds
        own = {event.fileno() for event in self._events}
        poller = poll()
        for descriptor, readiness in (waited | dict.fromkeys(own, POLLIN)).items():
            poller.register(descriptor, readiness)
        while True:
            pause = min(ends_at - monotonic(), self.remaining(), _LONGEST_POLL)
            ready = {descriptor for descriptor, _ in poller.poll(int(pause * 1000) + 1 if pause > 0 else 0)}
            if ready & own:
                raise Cancelled
            if ready:
                return ready
            if self.remaining() <= 0:
                raise DeadlineExceeded
            if ends_at <= monotonic():
                return set()


class Background:
    """A function that runs in a thread of its own, with the caller's context variables. ``ended`` is set once it has returned.

    The thread does not keep the process alive.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self.ended = Event()
        self._work = work
        self._result: Any = None
        self._failure: BaseException | None = None
        start_new_thread(copy_context().run, (self._run,))

    def result(self) -> Any:
        """Return the function's result, or raise what it raised, once it has ended."""
        if self._failure is not None:
            raise self._failure
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as failure:  # noqa: BLE001 - whoever asks for the result gets it
            self._failure = failure
        finally:
            self.ended.set()

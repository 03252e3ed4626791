"""Threads wait for sockets, other threads and signals at once, until a deadline or until they are cancelled."""

import socket
import threading
import time
from contextvars import ContextVar
from select import POLLIN, POLLOUT

import pytest

from sympozium_agent.waiting import Background, Cancelled, DeadlineExceeded, Event, Scope


def test_an_event_wakes_a_thread_that_waits_beside_a_socket() -> None:
    here, there = socket.socketpair()
    with here, there:
        event = Event()
        waiting = Background(lambda: Scope().wait_for(here.fileno(), POLLIN, event))
        event.set()
        assert Scope().wait(waiting.ended, seconds=60)


def test_a_socket_that_is_ready_ends_the_wait() -> None:
    here, there = socket.socketpair()
    with here, there:
        Scope(deadline=time.monotonic() + 60).wait_for(here.fileno(), POLLIN | POLLOUT)
        there.send(b"x")
        Scope(deadline=time.monotonic() + 60).wait_for(here.fileno(), POLLIN)


def test_what_was_set_before_is_seen_and_what_was_cleared_is_not() -> None:
    event = Event()
    for _ in range(3):
        event.set()
    assert event.is_set()
    assert Scope().wait(event)
    event.clear()
    assert not event.is_set()
    assert not Scope().wait(event, seconds=0)
    event.set()
    assert Scope().wait(event)


def test_many_threads_set_one_event_and_none_is_missed() -> None:
    event, total = Event(), 2000
    counts = [0] * 4

    def count(thread: int) -> None:
        for _ in range(total):
            counts[thread] += 1
            event.set()

    threads = [threading.Thread(target=count, args=(number,)) for number in range(len(counts))]
    for thread in threads:
        thread.start()
    while sum(counts) < total * len(counts):
        assert Scope().wait(event, seconds=60)
        event.clear()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("seconds", [0, -1, 0.01])
def test_a_scope_ends_at_its_deadline(seconds: float) -> None:
    scope, started_at = Scope().within(seconds), time.monotonic()
    with pytest.raises(DeadlineExceeded):
        scope.sleep()
    assert time.monotonic() - started_at >= seconds
    with pytest.raises(DeadlineExceeded):
        scope.check()


def test_the_earlier_deadline_counts() -> None:
    assert Scope().within(5).within(60).remaining() <= 5
    assert Scope().within(60).within(5).remaining() <= 5


def test_a_scope_is_cancelled_by_each_of_its_events_and_its_parent_is_not() -> None:
    outer, inner = Event(), Event()
    parent = Scope(outer)
    child = parent.until(inner).within(60)
    child.check()
    inner.set()
    with pytest.raises(Cancelled):
        child.sleep(5)
    parent.check()
    outer.set()
    with pytest.raises(Cancelled):
        parent.check()


def test_an_awaited_event_that_cancels_too_cancels() -> None:
    event = Event()
    event.set()
    with pytest.raises(Cancelled):
        Scope(event).wait(event)


def test_the_result_of_a_background_is_what_it_returned_or_raised() -> None:
    name: ContextVar[str] = ContextVar("name", default="unset")
    name.set("set by the caller")
    good, bad = Background(name.get), Background(lambda: 1 / 0)
    assert Scope().wait(good.ended, seconds=60)
    assert Scope().wait(bad.ended, seconds=60)
    assert good.result() == "set by the caller"
    with pytest.raises(ZeroDivisionError):
        bad.result()

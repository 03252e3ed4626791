"""Records of a run reach all who follow it, whenever they came."""

import pytest

from sympozium_api.agent_protocol import Delta, error
from sympozium_api.base import Metadata
from sympozium_api.run import AgentRun, RunSpec
from sympozium_runs.broker import ClientDisconnected, RunBroker

KEY = ("default", "r1")
STARTED = {"type": "started"}
FIRST: Delta = {"type": "delta", "choices": [{"index": 0}]}
SECOND: Delta = {"type": "delta", "choices": [{"index": 1}]}
END = error("timeout", "too slow", 504)


async def test_a_late_follower_sees_what_came_before() -> None:
    board = RunBroker()
    early = board.follow(KEY)
    board.publish(KEY, FIRST)
    late = board.follow(KEY)
    board.publish(KEY, SECOND)
    assert [await late.next(), await late.next()] == [await early.next(), await early.next()] == [FIRST, SECOND]


async def test_nothing_follows_the_end_record() -> None:
    board = RunBroker()
    follower = board.follow(KEY)
    board.publish(KEY, END)
    board.publish(KEY, FIRST)
    assert await follower.next() == END
    assert follower.ended
    assert await follower.next(patience=0) is None


async def test_silence_is_none_and_leaving_is_left() -> None:
    follower = RunBroker().follow(KEY)
    assert await follower.next(patience=0) is None
    follower.leave()
    with pytest.raises(ClientDisconnected):
        await follower.next()


async def test_a_pod_that_comes_back_brings_only_its_end() -> None:
    board = RunBroker()
    follower = board.follow(KEY)
    first = board.open(KEY, "pod")
    assert first
    first.bring(FIRST)
    first.close()
    again = board.open(KEY, "pod")
    assert again
    again.bring(SECOND)
    again.bring(END)
    assert [await follower.next(), await follower.next()] == [FIRST, END]


async def test_a_pod_that_comes_from_another_replica_brings_only_its_end() -> None:
    board = RunBroker()
    follower = board.follow(KEY)
    stream = board.open(KEY, "pod")
    assert stream
    for record in ({"type": "started", "resumed": True}, SECOND, END):
        stream.bring(record)  # type: ignore[arg-type]
    assert await follower.next() == END


def test_only_one_pod_speaks_for_a_run() -> None:
    board = RunBroker()
    stream = board.open(KEY, "pod")
    assert stream
    assert board.open(KEY, "another") is None


def test_a_stop_reaches_the_pod_that_speaks_and_the_one_that_comes_later() -> None:
    board, stopped = RunBroker(), []
    board.follow(KEY)
    for name in ("now", "later"):
        stream = board.open(KEY, "pod")
        assert stream
        stream.on_stop(lambda name=name: stopped.append(name))  # type: ignore[misc]
        if name == "now":
            board.stop(KEY)
            stream.close()
    assert stopped == ["now", "later"]


def test_a_pod_is_stopped_once_by_however_many() -> None:
    """The request that is being ended cannot be ended again: asking for it would be an error, and of the watch the last."""
    board, stopped = RunBroker(), []
    board.follow(KEY)
    stream = board.open(KEY, "pod")
    assert stream
    stream.on_stop(lambda: stopped.append("stopped"))
    board.stop(KEY)
    board.stop(KEY)
    assert stopped == ["stopped"]


def test_a_follower_may_have_no_say_in_whether_the_run_goes_on() -> None:
    board = RunBroker()
    looking = board.follow(KEY, wants=False)
    assert board.followed() == [KEY]
    assert not board.wanted(KEY)
    waiting = board.follow(KEY)
    assert board.wanted(KEY)
    waiting.close()
    looking.close()
    assert not board.wanted(KEY)


def test_what_nobody_follows_and_no_pod_speaks_of_is_forgotten() -> None:
    board = RunBroker()
    follower = board.follow(KEY)
    stream = board.open(KEY, "pod")
    assert stream
    follower.close()
    assert KEY in board
    stream.close()
    assert KEY not in board
    follower.close()
    board.publish(KEY, FIRST)
    assert KEY not in board


def test_how_a_run_is_in_the_cluster_is_known_as_long_as_somebody_follows_it_and_nobody_stops_it() -> None:
    board, run = RunBroker(), AgentRun(metadata=Metadata(namespace=KEY[0], name=KEY[1]), spec=RunSpec(agent_ref="demo"))
    board.note(run)
    assert board.noted(KEY) is None
    follower = board.follow(KEY)
    board.note(run)
    assert board.noted(KEY) is run
    board.stop(KEY)
    assert board.noted(KEY) is None
    follower.close()
    assert KEY not in board

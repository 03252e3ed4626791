"""Records of a run reach all who follow it, whenever they came."""

from functools import partial

import pytest

from sympozium_api.agent_protocol import error
from sympozium_api.agent_records import Delta
from sympozium_api.base import Metadata
from sympozium_api.run import AgentRun, RunSpec
from sympozium_http.byte_budget import ByteBudget
from sympozium_runs.broker import ClientDisconnected, RunBroker

KEY = ("default", "r1")
STARTED = {"type": "started"}
FIRST: Delta = {"type": "delta", "choices": [{"index": 0}]}
SECOND: Delta = {"type": "delta", "choices": [{"index": 1}]}
END = error("timeout", "too slow", 504)


async def test_a_late_subscriber_sees_the_records_published_before() -> None:
    broker = RunBroker()
    early = broker.subscribe(KEY, keeps_history=True)
    broker.publish(KEY, FIRST)
    late = broker.subscribe(KEY)
    broker.publish(KEY, SECOND)
    assert [await late.next(), await late.next()] == [await early.next(), await early.next()] == [FIRST, SECOND]


async def test_nothing_is_delivered_after_the_end_record() -> None:
    broker = RunBroker()
    subscriber = broker.subscribe(KEY)
    broker.publish(KEY, END)
    broker.publish(KEY, FIRST)
    assert await subscriber.next() == END
    assert subscriber.ended
    assert await subscriber.next(within=0) is None


async def test_silence_is_none_and_a_disconnect_is_raised() -> None:
    subscriber = RunBroker().subscribe(KEY)
    assert await subscriber.next(within=0) is None
    subscriber.disconnect()
    with pytest.raises(ClientDisconnected):
        await subscriber.next()


async def test_a_pod_that_reconnects_publishes_only_its_end_record() -> None:
    broker = RunBroker()
    subscriber = broker.subscribe(KEY)
    first = broker.open_publisher(KEY, "pod")
    assert first
    first.publish(FIRST)
    first.close()
    again = broker.open_publisher(KEY, "pod")
    assert again
    again.publish(SECOND)
    again.publish(END)
    assert [await subscriber.next(), await subscriber.next()] == [FIRST, END]


async def test_a_pod_that_comes_from_another_replica_publishes_only_its_end_record() -> None:
    broker = RunBroker()
    subscriber = broker.subscribe(KEY)
    publisher = broker.open_publisher(KEY, "pod")
    assert publisher
    for record in ({"type": "started", "resumed": True}, SECOND, END):
        publisher.publish(record)  # type: ignore[arg-type]
    assert await subscriber.next() == END


def test_only_one_pod_publishes_records_of_a_run() -> None:
    broker = RunBroker()
    publisher = broker.open_publisher(KEY, "pod")
    assert publisher
    assert broker.open_publisher(KEY, "another") is None


def test_a_stop_reaches_open_and_later_publishers() -> None:
    broker, stopped = RunBroker(), list[str]()
    broker.subscribe(KEY)
    for name in ("now", "later"):
        publisher = broker.open_publisher(KEY, "pod")
        assert publisher
        with publisher.calling_on_stop(partial(stopped.append, name)):
            if name == "now":
                broker.stop(KEY)
                publisher.close()
    assert stopped == ["now", "later"]


def test_a_publisher_is_stopped_once_however_often_it_is_asked_for() -> None:
    """The request that is being ended cannot be ended again: asking for it would be an error, and of the watch the last."""
    broker, stopped = RunBroker(), []
    broker.subscribe(KEY)
    publisher = broker.open_publisher(KEY, "pod")
    assert publisher
    with publisher.calling_on_stop(lambda: stopped.append("stopped")):
        broker.stop(KEY)
        broker.stop(KEY)
    assert stopped == ["stopped"]


def test_a_subscriber_that_is_not_a_caller_does_not_keep_a_run() -> None:
    broker = RunBroker()
    reader = broker.subscribe(KEY, is_caller=False)
    assert broker.subscribed() == [KEY]
    assert not broker.has_caller(KEY)
    caller = broker.subscribe(KEY)
    assert broker.has_caller(KEY)
    caller.close()
    reader.close()
    assert not broker.has_caller(KEY)


def test_a_topic_without_subscriber_and_publisher_is_forgotten() -> None:
    broker = RunBroker()
    subscriber = broker.subscribe(KEY)
    publisher = broker.open_publisher(KEY, "pod")
    assert publisher
    subscriber.close()
    assert KEY in broker
    publisher.close()
    assert KEY not in broker
    subscriber.close()
    broker.publish(KEY, FIRST)
    assert KEY not in broker


def test_a_run_is_remembered_while_it_has_a_subscriber_and_is_not_stopped() -> None:
    broker, run = (
        RunBroker(),
        AgentRun(metadata=Metadata(namespace=KEY[0], name=KEY[1]), spec=RunSpec(agent_ref="demo")),
    )
    broker.remember(run)
    assert broker.remembered(KEY) is None
    subscriber = broker.subscribe(KEY)
    broker.remember(run)
    assert broker.remembered(KEY) == run
    broker.stop(KEY)
    assert broker.remembered(KEY) is None
    subscriber.close()
    assert KEY not in broker


async def test_a_run_that_nobody_can_join_keeps_no_records() -> None:
    budget = ByteBudget()
    broker = RunBroker(budget)
    caller = broker.subscribe(KEY)
    broker.publish(KEY, FIRST)
    late = broker.subscribe(KEY, is_caller=False)
    assert await caller.next() == FIRST
    assert budget.used == 0
    broker.publish(KEY, SECOND)
    broker.publish(KEY, END)
    assert await late.next() == END
    assert [await caller.next(), await caller.next()] == [SECOND, END]


async def test_a_subscriber_after_the_end_gets_the_end() -> None:
    broker = RunBroker()
    caller = broker.subscribe(KEY)
    for record in (FIRST, END):
        broker.publish(KEY, record)
    assert await broker.subscribe(KEY).next() == END
    assert await caller.next() == FIRST


async def test_a_reader_that_is_far_behind_gets_the_end_record_next() -> None:
    budget = ByteBudget()
    broker = RunBroker(budget)
    slow = broker.subscribe(KEY, keeps_history=True)
    large: Delta = {"type": "delta", "choices": [{"index": 0, "logprobs": {"content": ["x" * 100_000]}}]}
    for _ in range(100):
        broker.publish(KEY, large)
    assert budget.used < 9_000_000  # the reader's and those of the history, each at most 4 MiB and one record
    broker.publish(KEY, END)
    slow_records = [await slow.next() for _ in range(43)]
    assert (slow_records[0], slow_records[-1], slow.ended) == (large, END, True)
    assert await broker.subscribe(KEY).next() == END
    slow.close()
    assert budget.used == 0


async def test_what_a_caller_did_not_read_is_counted_no_longer_when_it_leaves() -> None:
    budget = ByteBudget()
    broker = RunBroker(budget)
    caller = broker.subscribe(KEY)
    broker.publish(KEY, FIRST)
    assert budget.used > 0
    caller.close()
    assert budget.used == 0


def test_a_question_is_kept_until_the_agent_has_it() -> None:
    broker = RunBroker()
    run = AgentRun(metadata=Metadata(namespace=KEY[0], name=KEY[1], uid="u"), spec=RunSpec(agent_ref="demo", task="hi"))
    broker.subscribe(KEY)
    broker.remember(run)
    assert broker.remembered(KEY) == run.without_contents()  # another replica's run, or one of kubectl
    broker.remember_created(run)
    assert broker.remembered(KEY) == run
    cancelled = run.model_copy(update={"spec": run.spec.model_copy(update={"cancel": True})})
    broker.remember(cancelled.without_contents())
    assert broker.remembered(KEY) == cancelled
    broker.drop_question(KEY)
    assert broker.remembered(KEY) == cancelled.without_contents()


def test_a_stop_reaches_every_publisher_and_none_after_its_records() -> None:
    broker, stopped = RunBroker(), list[str]()
    first, second, third = (broker.open_publisher(KEY, "pod") for _ in range(3))
    assert first
    assert second
    assert third

    def fails() -> None:
        raise ValueError("a bug")

    with first.calling_on_stop(lambda: stopped.append("first")):
        pass
    with (
        second.calling_on_stop(fails),
        third.calling_on_stop(lambda: stopped.append("third")),
        pytest.raises(ValueError, match="a bug"),
    ):
        broker.stop(KEY)
    assert stopped == ["third"]

"""Publish and subscribe for the records of runs, within one process. No I/O."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from sympozium_api.agent_protocol import END_RECORDS
from sympozium_api.agent_records import End, Record
from sympozium_api.run import AgentRun
from sympozium_http.byte_budget import ByteBudget
from sympozium_runs.caller_headers import CallerHeaders
from sympozium_runs.record_buffer import RecordBuffer

Key = tuple[str, str]
"""Namespace and name of a run."""

_LARGEST_BUFFER = 4 * 1024 * 1024
"""Bytes of records that wait for one reader, or for those who join later. An answer that a run stores takes a tenth of it."""


class ClientDisconnected(Exception):
    """The caller that waited for a record has closed its connection."""


class Subscriber:
    """A reader of a run's records.

    It sees all of them, also those published before it subscribed. Where the broker no longer has all, or the reader is far
    behind, it sees no further record before the end record, which holds the whole answer.
    """

    def __init__(
        self, key: Key, broker: "RunBroker", inbox: RecordBuffer, *, is_caller: bool = True, only_end: bool = False
    ) -> None:
        self.key = key
        self.is_caller = is_caller
        """True for a caller: a run without callers is cancelled."""
        self.on_record: Callable[[Record], None] | None = None
        """Callback for each record that is read."""
        self.ended = False
        """True once the run's end record was read."""
        self._broker = broker
        self._inbox = inbox
        self._only_end = only_end
        self._expiry: End | None = None
        self._disconnected = False
        self._ready = asyncio.Event()
        if inbox:
            self._ready.set()

    async def next(self, within: float | None = None) -> Record | None:
        """Return the next record, or None after ``within`` seconds of silence. Raises ClientDisconnected after ``disconnect``."""
        if not self._ready.is_set():
            try:
                async with asyncio.timeout(within):
                    await self._ready.wait()
            except TimeoutError:
                return None
        record = self._inbox.take()
        if record is None:
            raise ClientDisconnected
        if not self._inbox and not self._disconnected:
            self._ready.clear()
        self.ended = record["type"] in END_RECORDS and record is not self._expiry
        if self.on_record:
            self.on_record(record)
        return record

    async def end(self) -> End:
        """Wait for the end record. Raises ClientDisconnected after ``disconnect``."""
        while True:
            record = await self.next()
            if record and (record["type"] == "done" or record["type"] == "error"):
                return record

    def deliver(self, record: Record, size: int) -> None:
        """Add a record, whose JSON has ``size`` bytes, to those to be read. After ``expire`` nothing is added."""
        self._only_end = self._only_end or self._inbox.size > _LARGEST_BUFFER
        if self._expiry is None and (not self._only_end or record["type"] in END_RECORDS):
            self._inbox.append(record, size)
            self._ready.set()

    def expire(self, record: End) -> None:
        """Deliver an end record of the wait alone: the run itself has not ended."""
        self.deliver(record, _size(record))
        self._expiry = record

    def disconnect(self) -> None:
        """Raise ClientDisconnected in the reader, after the records that are delivered already."""
        self._disconnected = True
        self._ready.set()

    def close(self) -> None:
        """Unsubscribe, and drop what was not read."""
        self._inbox.clear()
        self._broker.unsubscribe(self)


@dataclass
class _Topic:
    """State of one run, as long as it has a subscriber or a publisher."""

    history: RecordBuffer | None = None
    """All records so far, for subscribers that come later; None where none is expected, or the records are too many."""
    has_records: bool = False
    end: End | None = None
    ending: asyncio.TimerHandle | None = None
    """Set while the run's end is being stored: publishes the end if that takes long."""
    subscribers: set[Subscriber] = field(default_factory=set)
    run: AgentRun | None = None
    pod: str | None = None
    publishers: set["Publisher"] = field(default_factory=set)
    stopped: bool = False

    def keep_history(self, budget: ByteBudget) -> None:
        """Keep the records from now on, unless some have passed already."""
        if self.history is None and not self.has_records:
            self.history = RecordBuffer(budget)

    def stop_timer(self) -> None:
        """Give up what ``ending`` would do."""
        if self.ending is not None:
            self.ending.cancel()
            self.ending = None

    def restart(self) -> None:
        """Forget that a pod has begun, whose run starts again in another pod."""
        self.has_records = False
        if self.history is not None:
            self.history.clear()

    def drop_history(self) -> None:
        """Drop the records that were kept."""
        if self.history is not None:
            self.history.clear()
            self.history = None


class Publisher:
    """One request in which a pod sends the records of its run."""

    def __init__(self, key: Key, topic: _Topic, broker: "RunBroker") -> None:
        self._key = key
        self._topic = topic
        self._broker = broker
        self._is_complete = not topic.has_records
        self._on_stop: Callable[[], None] | None = None
        topic.publishers.add(self)

    @contextmanager
    def calling_on_stop(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call back when nobody wants the remaining records: the run was cancelled, or has ended without this pod.

        After this context, when the pod's records have all arrived, nothing is called any more.
        """
        self._on_stop = callback
        try:
            if self._topic.stopped:
                callback()
            yield
        finally:
            self._on_stop = None

    def stop(self) -> None:
        """Tell the request that nobody wants the remaining records."""
        if self._on_stop:
            self._on_stop()

    def publish(self, record: Record, size: int | None = None) -> None:
        """Publish a record, whose JSON has ``size`` bytes.

        A pod that reconnects after a broken request, here or from another replica, has lost records in between. Then only
        its end record is published, because that holds the whole answer.
        """
        if record["type"] == "started" and record.get("resumed"):
            self._is_complete = False
        if self._is_complete or record["type"] in END_RECORDS:
            self._broker.publish(self._key, record, size)

    def publish_later(self, end: End, size: int | None, seconds: float) -> None:
        """Publish an end record after ``seconds``, unless an end of the run is published before."""
        if self._topic.end is None and self._topic.ending is None:
            loop = asyncio.get_running_loop()
            self._topic.ending = loop.call_later(seconds, self._broker.publish, self._key, end, size)

    def withdraw_end(self) -> None:
        """Publish no end later, because the run is another pod's."""
        self._topic.stop_timer()

    def close(self) -> None:
        """Detach from the topic when the request is over."""
        self._topic.publishers.discard(self)
        self._broker.forget_unused(self._key)


class RunBroker:
    """The topics of all runs that have a subscriber or a publisher in this process."""

    def __init__(self, budget: ByteBudget | None = None) -> None:
        self.budget = budget or ByteBudget()
        self._topics: defaultdict[Key, _Topic] = defaultdict(_Topic)
        self.caller_headers = CallerHeaders()

    def __contains__(self, key: Key) -> bool:
        return key in self._topics

    def subscribed(self) -> list[Key]:
        """Return the runs that have a subscriber."""
        return [key for key, topic in self._topics.items() if topic.subscribers]

    def count_waiting(self) -> int:
        """Count the runs that have a subscriber, and whose pod has sent no record here yet."""
        return sum(1 for topic in self._topics.values() if topic.subscribers and not topic.has_records)

    def has_caller(self, key: Key) -> bool:
        """Return whether a caller here still waits for a run."""
        return key in self._topics and any(subscriber.is_caller for subscriber in self._topics[key].subscribers)

    def subscribe(self, key: Key, *, is_caller: bool = True, keeps_history: bool = False) -> Subscriber:
        """Subscribe to a run's records. With ``keeps_history`` they are kept for subscribers that come later."""
        topic = self._topics[key]
        if keeps_history:
            topic.keep_history(self.budget)
        inbox = topic.history.duplicate() if topic.history else RecordBuffer(self.budget)
        only_end = topic.has_records and topic.history is None
        subscriber = Subscriber(key, self, inbox, is_caller=is_caller, only_end=only_end)
        if only_end and topic.end:
            subscriber.deliver(topic.end, _size(topic.end))
        topic.subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """End a subscription."""
        if subscriber.key in self._topics:
            self._topics[subscriber.key].subscribers.discard(subscriber)
            self.forget_unused(subscriber.key)

    def remember_created(self, run: AgentRun) -> None:
        """Keep a run that was just created, with its question if it has one, so that its pod's request need not read it again."""
        if topic := self._topics.get(run.key):
            is_known = topic.run is not None and topic.run.metadata.uid == run.metadata.uid
            topic.run = topic.run.with_question_of(run) if topic.run and is_known else run  # the watch may be quicker

    def remember(self, run: AgentRun) -> None:
        """Keep a run's state as the cluster has it, if its topic exists, beside the question that is kept already."""
        if topic := self._topics.get(run.key):
            slim = run.without_contents()
            is_known = topic.run is not None and topic.run.metadata.uid == run.metadata.uid
            topic.run = slim.with_question_of(topic.run) if topic.run and is_known else slim

    def drop_question(self, key: Key) -> None:
        """Keep the question of a run no longer, because its agent has it."""
        if (topic := self._topics.get(key)) and topic.run:
            topic.run = topic.run.without_contents()

    def remembered(self, key: Key) -> AgentRun | None:
        """Return a run as it was remembered last, or None where it is unknown or has been stopped since."""
        topic = self._topics.get(key)
        return topic.run if topic is not None and not topic.stopped else None

    def open_publisher(self, key: Key, pod: str, *, keeps_history: bool = False) -> Publisher | None:
        """Return a publisher for a pod's request, or None when another pod of this run has published records.

        A pod whose run was given to another one, which happens before the model is asked, has published no part of an answer.

        With ``keeps_history`` the records are kept for subscribers that come later.
        """
        topic = self._topics[key]
        if topic.pod not in (None, pod):
            if topic.run is None or topic.run.is_assigned_to(topic.pod):
                return None
            topic.restart()
        if keeps_history:
            topic.keep_history(self.budget)
        topic.pod = pod
        return Publisher(key, topic, self)

    def publish(self, key: Key, record: Record, size: int | None = None) -> None:
        """Deliver a record, whose JSON has ``size`` bytes, to all subscribers of a run. After the end record nothing more is
        delivered.
        """
        topic = self._topics.get(key)
        if topic is None or topic.end:
            return
        size = _size(record) if size is None else size
        topic.has_records = True
        if record["type"] == "done" or record["type"] == "error":
            topic.end = record
            topic.stop_timer()
        if topic.history is not None:
            topic.history.append(record, size)
            if topic.history.size > _LARGEST_BUFFER:
                topic.drop_history()
        for subscriber in topic.subscribers:
            subscriber.deliver(record, size)

    def is_ending(self, key: Key) -> bool:
        """Return whether a run's end has arrived here: it is published, or will be within moments."""
        topic = self._topics.get(key)
        return topic is not None and (topic.ending is not None or topic.end is not None)

    def stop(self, key: Key) -> None:
        """Stop the publishers of a run, because nobody wants its remaining records. Further calls do nothing."""
        topic = self._topics.get(key)
        if topic is not None and not topic.stopped:
            topic.stopped = True
            with ExitStack() as stops:  # which calls all of them, even if one fails
                for publisher in topic.publishers:
                    stops.callback(publisher.stop)

    def has_records(self, key: Key) -> bool:
        """Return whether records of a run have been published here."""
        return key in self._topics and self._topics[key].has_records

    def forget_unused(self, key: Key) -> None:
        """Delete a topic that has neither subscriber nor publisher."""
        topic = self._topics.get(key)
        if topic is not None and not topic.subscribers and not topic.publishers:
            topic.drop_history()
            topic.stop_timer()
            del self._topics[key]


def _size(record: Record) -> int:
    return len(json.dumps(record))

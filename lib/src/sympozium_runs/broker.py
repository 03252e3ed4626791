"""Where the records of a run meet those who wait for them, within one process. No I/O."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sympozium_api.agent_protocol import END_RECORDS, End, Record
from sympozium_api.run import AgentRun

Key = tuple[str, str]
"""Namespace and name of a run."""


class ClientDisconnected(Exception):
    """The one who waited has gone: its connection is closed."""


class Subscriber:
    """One who waits for the records of a run; it sees them from the first on, whenever it came."""

    def __init__(self, key: Key, board: "RunBroker", *, wants: bool = True) -> None:
        self.key = key
        self.wants = wants
        """Whether the run is to go on for its sake."""
        self._board = board
        self._inbox: asyncio.Queue[Record | None] = asyncio.Queue()
        self.observe: Callable[[Record], None] | None = None
        """Shown each record that is handed out."""
        self.ended = False
        self._expiry: End | None = None

    async def next(self, patience: float | None = None) -> Record | None:
        """The next record, or None when none came within ``patience`` seconds. Raises ClientDisconnected after ``leave``."""
        try:
            async with asyncio.timeout(patience):
                record = await self._inbox.get()
        except TimeoutError:
            return None
        if record is None:
            raise ClientDisconnected
        self.ended = record["type"] in END_RECORDS and record is not self._expiry
        if self.observe:
            self.observe(record)
        return record

    async def end(self) -> End:
        """The end record, when it comes. Raises ClientDisconnected after ``leave``."""
        while True:
            record = await self.next()
            if record and (record["type"] == "done" or record["type"] == "error"):
                return record

    def receive(self, record: Record) -> None:
        """Take a record in."""
        self._inbox.put_nowait(record)

    def expire(self, record: End) -> None:
        """Take in the end of the waiting, which is not the end of the run."""
        self._expiry = record
        self.receive(record)

    def leave(self) -> None:
        """Wake whoever waits on this follower with ClientDisconnected."""
        self._inbox.put_nowait(None)

    def close(self) -> None:
        """Stop following."""
        self._board.unfollow(self)


@dataclass
class _Topic:
    """One run, as long as somebody follows it or brings its records."""

    history: list[Record] = field(default_factory=list)
    followers: set[Subscriber] = field(default_factory=set)
    run: AgentRun | None = None
    pod: str | None = None
    streams: set["Publisher"] = field(default_factory=set)
    stopped: bool = False

    @property
    def ended(self) -> bool:
        return bool(self.history) and self.history[-1]["type"] in END_RECORDS


class Publisher:
    """One request in which a pod brings the records of its run."""

    def __init__(self, key: Key, line: _Topic, board: "RunBroker") -> None:
        self._key = key
        self._line = line
        self._board = board
        self._whole = not line.history
        self._on_stop: Callable[[], None] | None = None
        line.streams.add(self)

    def on_stop(self, call: Callable[[], None]) -> None:
        """What to do when nobody wants the rest: the run was cancelled or has ended otherwise."""
        self._on_stop = call
        if self._line.stopped:
            call()

    def stop(self) -> None:
        """Nobody wants the rest."""
        if self._on_stop:
            self._on_stop()

    def bring(self, record: Record) -> None:
        """Hand a record to the followers.

        A pod that comes back after a broken request, here or at another replica, has lost records in between: then only
        its end record, which holds the whole answer, is of use.
        """
        if record["type"] == "started" and record.get("resumed"):
            self._whole = False
        if self._whole or record["type"] in END_RECORDS:
            self._board.publish(self._key, record)

    def close(self) -> None:
        """The request is over."""
        self._line.streams.discard(self)
        self._board.forget_idle(self._key)


class RunBroker:
    """All runs that somebody follows, or brings records of, in this process."""

    def __init__(self) -> None:
        self._lines: defaultdict[Key, _Topic] = defaultdict(_Topic)
        self._headers: dict[Key, dict[str, str]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._lines

    @contextmanager
    def keeping(self, key: Key, headers: dict[str, str]) -> Iterator[None]:
        """Hold a caller's headers for the model until the run that is made in here has ended: they are kept nowhere else."""
        mine = bool(headers) and key not in self._headers  # else they are of the caller who made the run before
        if mine:
            self._headers[key] = headers
        try:
            yield
        except BaseException:
            if mine:
                self.drop_headers(key)
            raise

    def headers(self, key: Key) -> dict[str, str] | None:
        """The headers of a run's caller; None: they are not here."""
        return self._headers.get(key)

    def drop_headers(self, key: Key) -> None:
        """The run needs them no more."""
        self._headers.pop(key, None)

    def followed(self) -> list[Key]:
        """The runs that somebody waits for."""
        return [key for key, line in self._lines.items() if line.followers]

    def waiting(self) -> int:
        """How many runs somebody waits for whose pod has brought no record here."""
        return sum(1 for line in self._lines.values() if line.followers and not line.history)

    def wanted(self, key: Key) -> bool:
        """Whether a run is to go on for the sake of somebody here."""
        return key in self._lines and any(follower.wants for follower in self._lines[key].followers)

    def follow(self, key: Key, *, wants: bool = True) -> Subscriber:
        """Wait for a run's records, those included that came before."""
        line = self._lines[key]
        follower = Subscriber(key, self, wants=wants)
        for record in line.history:
            follower.receive(record)
        line.followers.add(follower)
        return follower

    def unfollow(self, follower: Subscriber) -> None:
        """The opposite of ``follow``."""
        if follower.key in self._lines:
            self._lines[follower.key].followers.discard(follower)
            self.forget_idle(follower.key)

    def note(self, run: AgentRun) -> None:
        """How a run is in the cluster, if somebody follows it: its pod need not wait for it to be read again."""
        if run.key in self._lines:
            self._lines[run.key].run = run

    def noted(self, key: Key) -> AgentRun | None:
        """A run as it was noted last; None where it is not known, or may have changed since."""
        line = self._lines.get(key)
        return line.run if line is not None and not line.stopped else None

    def open(self, key: Key, pod: str) -> Publisher | None:
        """Bring records of a run; None when another pod already does."""
        line = self._lines[key]
        if line.pod not in (None, pod):
            return None
        line.pod = pod
        return Publisher(key, line, self)

    def publish(self, key: Key, record: Record) -> None:
        """Hand a record to all followers of a run; after the end record nothing more reaches them."""
        line = self._lines.get(key)
        if line is None or line.ended:
            return
        line.history.append(record)
        for follower in line.followers:
            follower.receive(record)

    def stop(self, key: Key) -> None:
        """Tell the pod that brings records of this run that nobody wants them any more; it is told once, whoever says it again."""
        line = self._lines.get(key)
        if line is not None and not line.stopped:
            line.stopped = True
            for stream in line.streams:
                stream.stop()

    def speaks(self, key: Key) -> bool:
        """Whether records of a run have come here."""
        return key in self._lines and bool(self._lines[key].history)

    def forget_idle(self, key: Key) -> None:
        """Drop a run that nobody follows and no pod speaks of."""
        line = self._lines.get(key)
        if line is not None and not line.followers and not line.streams:
            del self._lines[key]

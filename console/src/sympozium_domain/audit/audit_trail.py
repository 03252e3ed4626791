"""The audit in the archive: no change is made before it is written there."""

import asyncio
import contextlib
import time
from collections import Counter as Numbers
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog
from prometheus_client import Counter, Gauge

from sympozium_archive.audit_log import AuditEntry, AuditLog
from sympozium_archive.unavailable import DatabaseUnavailable

log = structlog.get_logger()

WRITE_SECONDS = 2.0
"""Seconds for which a change waits for the audit."""
_MOST_QUEUED = 1000
"""Entries that wait for the database; those beyond are dropped and counted."""
_RETRY_SECONDS = 1.0
_MOST_OF_ENDED = 60
"""Calls with an ended key that are recorded in a minute: whoever has it may repeat them, and must not crowd out other entries."""
_MINUTE = 60.0
_UNAUTHENTICATED = 401

Result = TypeVar("Result")


class AuditUnavailable(Exception):
    """The audit cannot be written, so that no change may be made; the message says why."""


@dataclass(frozen=True)
class AuditMetrics:
    """Instruments of an audit."""

    rows: Counter
    queue: Gauge
    errors: Counter
    dropped: Counter


@dataclass(frozen=True)
class OpenChange:
    """A change that may be made, because the audit has it."""

    entry: AuditEntry
    change_id: str = ""


class ChangeAudit(Protocol):
    """Recorder of changes."""

    async def begin(self, entry: AuditEntry) -> OpenChange:
        """Record a change before it is made. Raises AuditUnavailable, and then the change must not be made."""

    async def end(self, change: OpenChange, status: int) -> None:
        """Record the outcome of a change as the HTTP status of its answer."""

    def refuse(self, entry: AuditEntry, status: int) -> None:
        """Record a call that was refused for lack of a valid key or of a right, without waiting."""

    def note(self, entry: AuditEntry, status: int) -> None:
        """Record a change that was made, without waiting: the start of a run, which does not need the audit."""

    async def flush(self) -> None:
        """Finish what is not recorded yet, as the process ends."""


class ChangeLog:
    """The audit of a console without an archive: one line of the log for each change, and none for refused calls."""

    async def begin(self, entry: AuditEntry) -> OpenChange:
        """Return the change, which is logged once its outcome is known."""
        return OpenChange(entry)

    async def end(self, change: OpenChange, status: int) -> None:
        """Log a change."""
        entry = change.entry
        log.info(
            "change",
            actor=entry.actor,
            action=entry.action,
            kind=entry.kind,
            namespace=entry.namespace,
            resource=entry.resource,
            fields=list(entry.fields),
            status=status,
            trace_id=entry.trace_id,
        )

    def refuse(self, entry: AuditEntry, status: int) -> None:
        """Do nothing, because the access log has refused calls."""

    def note(self, entry: AuditEntry, status: int) -> None:
        """Do nothing, because the run itself says who started it."""

    async def flush(self) -> None:
        """Do nothing, because a line of the log does not wait."""


class AuditTrail:
    """The audit of a console with an archive. What need not be awaited is written by ``run``, from a bounded queue."""

    def __init__(self, audit: AuditLog, metrics: AuditMetrics) -> None:
        self._audit = audit
        self._metrics = metrics
        self._queue: asyncio.Queue[Callable[[], Awaitable[object]]] = asyncio.Queue(_MOST_QUEUED)
        self._given_up: set[asyncio.Future[Any]] = set()
        self._of_ended: Numbers[str | None] = Numbers()
        """Number of calls since ``_counted_since`` by their ended keys."""
        self._counted_since = time.monotonic()
        metrics.queue.set_function(self._queue.qsize)

    async def begin(self, entry: AuditEntry) -> OpenChange:
        """Write a change's first row. Raises AuditUnavailable if it cannot be written within two seconds."""
        try:
            change_id = await self._write(lambda: self._audit.begin(entry))
        except DatabaseUnavailable as error:
            raise AuditUnavailable(str(error)) from error
        return OpenChange(entry, change_id)

    async def end(self, change: OpenChange, status: int) -> None:
        """Write a change's outcome, later if the database does not take it within two seconds: the change is made."""
        write = partial(self._audit.outcome, change.change_id, status)
        try:
            await self._write(write)
        except DatabaseUnavailable:
            self._enqueue(write)

    def refuse(self, entry: AuditEntry, status: int) -> None:
        """Enqueue a refused call; of one ended key at most sixty in a minute, and the others are counted as dropped."""
        if status == _UNAUTHENTICATED and self._is_repeated(entry.actor):
            self._metrics.dropped.inc()
        else:
            self._enqueue(partial(self._audit.refused, entry, status))

    def note(self, entry: AuditEntry, status: int) -> None:
        """Enqueue a change that was made."""
        self._enqueue(partial(self._audit.refused, entry, status))

    async def run(self) -> None:
        """Write what is queued, without end; an entry is repeated while the database is away."""
        while True:
            await self._write_at_last(await self._queue.get())

    async def flush(self) -> None:
        """Write what is queued as the process ends, within two seconds."""
        with contextlib.suppress(asyncio.QueueEmpty, TimeoutError):
            async with asyncio.timeout(WRITE_SECONDS):
                while await self._is_written(self._queue.get_nowait()):
                    pass

    async def _write_at_last(self, write: Callable[[], Awaitable[object]]) -> None:
        is_written = await self._is_written(write)
        while not is_written:
            await asyncio.sleep(_RETRY_SECONDS)
            is_written = await self._is_written(write)

    async def _is_written(self, write: Callable[[], Awaitable[object]]) -> bool:
        try:
            await self._write(write)
        except DatabaseUnavailable:
            return False
        return True

    async def _write(self, write: Callable[[], Awaitable[Result]]) -> Result:
        writing = asyncio.ensure_future(write())
        done, _ = await asyncio.wait({writing}, timeout=WRITE_SECONDS)
        if not done:
            self._give_up(writing)
            self._metrics.errors.inc()
            raise DatabaseUnavailable("busy", "the audit has waited long enough")
        try:
            result = writing.result()
        except DatabaseUnavailable:
            self._metrics.errors.inc()
            raise
        self._metrics.rows.inc()
        return result

    def _give_up(self, writing: asyncio.Future[Any]) -> None:
        """Cancel a write without waiting for its end: a connection whose server hangs takes seconds to be closed."""
        writing.cancel()
        self._given_up.add(writing)
        writing.add_done_callback(self._given_up.discard)
        writing.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    def _is_repeated(self, actor: str | None) -> bool:
        """Count a call with an ended key, and return whether it had its share of this minute."""
        if time.monotonic() - self._counted_since >= _MINUTE:
            self._of_ended.clear()
            self._counted_since = time.monotonic()
        self._of_ended[actor] += 1
        return self._of_ended[actor] > _MOST_OF_ENDED

    def _enqueue(self, write: Callable[[], Awaitable[object]]) -> None:
        try:
            self._queue.put_nowait(write)
        except asyncio.QueueFull:
            self._metrics.dropped.inc()
            log.warning("the audit's queue is full, an entry is dropped")

"""Reader of the runs of one namespace by their UID, and of lists of them: from Kubernetes while they are open, else from the archive."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from sympozium_api.client import ApiError, Client
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun
from sympozium_archive.database import Database
from sympozium_archive.run_contents import Contents
from sympozium_archive.run_queries import RunFilter, RunQueries
from sympozium_archive.run_rows import RunRow
from sympozium_archive.tables import CONTENT_KEPT
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_domain.instance_runs import InstanceRuns
from sympozium_domain.stored_runs.run_content import Content
from sympozium_domain.stored_runs.stored_run import StoredRun

Shape = TypeVar("Shape")

_REMEMBERED = 10_000
"""Runs that this replica started last, whose names it knows while the database does not."""
_READS = 4
"""Runs of a list that are read at the same time."""
_LONG_BYTES = 256 * 1024
"""Bytes of a run's texts from which it is long."""
_FRESH_SECONDS, _POLL_SECONDS = 2.0, 0.05
"""Seconds in which the database has a run that was just started, and between questions for it."""


@dataclass
class RunFinder:
    """Reader of runs. Its methods raise ApiError and ApiUnavailable."""

    client: Client
    database: Database
    runs: InstanceRuns
    _of_long: asyncio.Lock = field(default_factory=asyncio.Lock)
    _started: OrderedDict[str, tuple[str, str, float]] = field(default_factory=OrderedDict)
    """Namespace, name and time of the loop of the runs that this replica started last, by UID."""

    def remember(self, run: AgentRun) -> None:
        """Take note of a run that was just started here, so that it is found before the database has it."""
        metadata = run.metadata
        self._started[metadata.uid] = metadata.namespace, metadata.name, asyncio.get_running_loop().time()
        if len(self._started) > _REMEMBERED:
            self._started.popitem(last=False)

    async def find(self, namespace: str, uid: str) -> StoredRun | None:
        """Return a run of a namespace; None if there is none. Without the database, only what Kubernetes has is found."""
        try:
            row = await RunQueries(self.database).run(uid)
        except DatabaseUnavailable:
            row = None
        if row is not None:
            return await self._of_row(row) if row.namespace == namespace else None
        name = await self._name(namespace, uid)
        return None if name is None else await self._live(namespace, name, uid)

    async def current(self, run: AgentRun) -> StoredRun | None:
        """Return a run of this replica as it is by now: read by its name, from the archive only if Kubernetes has it no more."""
        namespace, name, uid = run.metadata.namespace, run.metadata.name, run.metadata.uid
        return await self._live(namespace, name, uid) or await self.find(namespace, uid)

    async def page(
        self, wanted: RunFilter, shape: Callable[[StoredRun], Shape], *, limit: int, offset: int
    ) -> tuple[list[Shape], int]:
        """Return what ``shape`` makes of at most ``limit`` runs after the ``offset`` newest, the newest first, and the number of all.

        Only a few runs are in memory at the same time. Raises DatabaseUnavailable, and what ``shape`` raises.
        """
        await self._until_listed(wanted)
        queries = RunQueries(self.database)
        rows = await queries.history(wanted, limit=limit, offset=offset)
        total = len(rows) + offset if 0 < len(rows) < limit else await queries.count(wanted)
        slots = asyncio.Semaphore(_READS)

        async def read(row: RunRow) -> Shape:
            async with slots:
                return shape(await self._of_row(row))

        reading = [asyncio.create_task(read(row)) for row in rows]
        try:
            return list(await asyncio.gather(*reading)), total
        finally:
            for task in reading:
                task.cancel()

    async def _of_row(self, row: RunRow) -> StoredRun:
        """Return the run of a row: as Kubernetes has it, unless the archive has all of it."""
        if not (row.ended and row.content_state == CONTENT_KEPT) and row.deleted_at is None:
            live = await self._live(row.namespace, row.name, row.uid)
            if live is not None:
                return live
            row = await RunQueries(self.database).run(row.uid) or row  # archived and deleted meanwhile
        return StoredRun.of_row(row, await self._content(row))

    async def _content(self, row: RunRow) -> Content | None:
        """Return the content that the archive has of a run; of long ones one at a time."""
        if row.content_state != CONTENT_KEPT:
            return None
        contents = Contents(self.database)
        if (stored := await contents.open(row.uid)) is None:
            return None
        if stored.size < _LONG_BYTES:
            return await contents.read(row.uid)
        async with self._of_long:
            return await contents.read(row.uid)

    async def _live(self, namespace: str, name: str, uid: str) -> StoredRun | None:
        """Read a run from Kubernetes; None if it is gone, is another one, or cannot be read."""
        try:
            run = await self.runs.read(namespace, name)
        except ApiError as error:
            if error.not_found:
                return None
            raise
        except ValidationError:
            return None
        if run.metadata.uid != uid:
            return None
        return await asyncio.to_thread(StoredRun.of_run, run) if _is_long(run) else StoredRun.of_run(run)

    async def _name(self, namespace: str, uid: str) -> str | None:
        """Return the name of a run that the database does not have, or cannot tell."""
        if (started := self._started.get(uid)) is not None:
            return started[1] if started[0] == namespace else None
        metadata = await self.client.metadata(RUNS, namespace, resourceVersion="0")
        return next((item["metadata"]["name"] for item in metadata if item["metadata"]["uid"] == uid), None)

    async def _until_listed(self, wanted: RunFilter) -> None:
        """Wait until the database has the runs that this replica has just started, so that a caller finds its own in its list."""
        end = asyncio.get_running_loop().time()
        fresh = {
            uid
            for uid, (namespace, _, at) in self._started.items()
            if namespace == wanted.namespace and at > end - _FRESH_SECONDS
        }
        queries = RunQueries(self.database)
        while fresh and asyncio.get_running_loop().time() < end + _FRESH_SECONDS:
            fresh -= await queries.known(fresh)
            if fresh:
                await asyncio.sleep(_POLL_SECONDS)


def _is_long(run: AgentRun) -> bool:
    texts = (run.spec.request_text, run.status.answer)
    return sum(text.size or 0 for text in texts if text) > _LONG_BYTES

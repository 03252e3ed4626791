"""Runs: read, and committed to the archive with their contents. The same run may be stored any number of times."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog
from pydantic import ValidationError

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.clock import Clock
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun
from sympozium_api.run_columns import columns_of
from sympozium_archive.run_contents import Contents, PackedContent, packed
from sympozium_archive.run_costs import Cost, RunCosts
from sympozium_archive.run_rows import Committed, RunRow, RunRows
from sympozium_archive.tables import CONTENT_UNREAD
from sympozium_archive.times import microseconds
from sympozium_console.archiver.concurrently import all_of
from sympozium_console.archiver.run_reader import READERS, RunReader
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.prices.pricing import Pricing
from sympozium_console.run_index.indexed_rows import indexed
from sympozium_domain.stored_runs.run_content import content_of, is_private

log = structlog.get_logger()

CANCELLED = "cancelled"
"""Error of a run that a caller deleted while it was going on."""
_BATCH_RUNS = 48
"""Runs of one transaction at most."""
_BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of packed contents from which they are committed."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class KnownRun:
    """A run that is to be stored."""

    uid: str
    namespace: str
    name: str
    committed: str | None = None
    """Resource version of the ended run whose row is committed; None: no row, or an older state."""

    @classmethod
    def of(cls, run: Object, committed: str | None = None) -> "KnownRun":
        """Return a run that is given as a row, or as an object."""
        metadata = run["metadata"]
        return cls(metadata["uid"], metadata["namespace"], metadata["name"], committed)


@dataclass(frozen=True)
class ReadRun:
    """A run as it was read, to be committed."""

    uid: str
    version: str | None
    """Resource version that was read; None: the run is gone."""
    row: RunRow | None = None
    """Row to write; None: the table has it, or the run has none."""
    content: PackedContent | None = None
    cost: Cost | None = None
    """Cost of a run that has a price."""
    is_unreadable: bool = False
    """True if the run has a content that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class RunArchive:
    """The archive of runs, on the side of Kubernetes."""

    reader: RunReader
    rows: RunRows
    contents: Contents
    costs: RunCosts
    pricing: Pricing
    clock: Clock
    metrics: ConsoleMetrics

    async def store(self, run: KnownRun, *, as_cancelled: bool = False) -> str | None:
        """Read a run and commit it; return the resource version that is committed, or None if the run is gone.

        ``as_cancelled``: one that has not ended is committed as cancelled now, because it is about to be deleted.
        Raises ApiError, ApiUnavailable and DatabaseUnavailable.
        """
        read = await self._read(run, as_cancelled=as_cancelled)
        await self._commit([read])
        return read.version

    async def store_all(self, runs: Sequence[KnownRun], *, as_cancelled: bool = False) -> dict[str, str | None]:
        """Do the same with many runs, and return the versions by UID. Runs that cannot be read now are logged and left out.

        Raises DatabaseUnavailable.
        """
        versions = dict[str, str | None]()
        batch = list[ReadRun]()
        for some in chunks(runs, READERS):
            batch += filter(None, await all_of(self._read_or_log(run, as_cancelled=as_cancelled) for run in some))
            if (
                len(batch) >= _BATCH_RUNS
                or sum(len(run.content.content) for run in batch if run.content) > _BATCH_BYTES
            ):
                versions |= await self._commit(batch)
                batch = []
        return versions | await self._commit(batch)

    async def incomplete(self, rows: Sequence[Object]) -> list[KnownRun]:
        """Return of these rows the runs that are not committed in their version with their end and content.

        Raises DatabaseUnavailable.
        """
        committed = await self.rows.committed([row["metadata"]["uid"] for row in rows])
        runs = list[KnownRun]()
        for row in rows:
            uid, version = row["metadata"]["uid"], row["metadata"]["resourceVersion"]
            has_version = _has_version(committed.get(uid), version)
            if not has_version or committed[uid].content_state == CONTENT_UNREAD:
                runs.append(KnownRun.of(row, version if has_version else None))
        return runs

    async def _read_or_log(self, run: KnownRun, *, as_cancelled: bool) -> ReadRun | None:
        try:
            return await self._read(run, as_cancelled=as_cancelled)
        except (ApiError, ApiUnavailable) as error:
            reason = error.reason if isinstance(error, ApiError) else "Unavailable"
            log.warning("run not archived yet", namespace=run.namespace, run=run.name, reason=reason)
        except Exception as error:  # noqa: BLE001 - whatever the run is, others have their turn
            log.warning("run not archived", namespace=run.namespace, run=run.name, error=type(error).__name__)
        return None

    async def _read(self, run: KnownRun, *, as_cancelled: bool) -> ReadRun:
        async with self.reader.turn():
            body = await self.reader.find(run.namespace, run.name, run.uid)
            if body is None:
                return ReadRun(run.uid, None)
            version = body["metadata"]["resourceVersion"]
            row = indexed({"metadata": body["metadata"], "columns": columns_of(body)})
            if row is None:
                return ReadRun(run.uid, version)
            if as_cancelled and not row.ended:
                ended_at = microseconds(self.clock.now())
                row = replace(row, phase="Cancelled", error=row.error or CANCELLED, ended_at=ended_at)
            read = ReadRun(run.uid, version, None if version == run.committed else row)
            if row.is_private or not row.ended:
                return replace(read, row=row)
            return await self._with_content(read, row, body)

    async def _with_content(self, read: ReadRun, row: RunRow, body: Object) -> ReadRun:
        try:
            async with self.reader.with_texts(AgentRun.model_validate(body)) as run:
                content = content_of(run)
                read = replace(read, cost=self.pricing.cost(row, content.get("usage") or {}))
                if is_private(run):
                    return replace(read, row=replace(row, is_private=True))
                return replace(read, content=await packed(row.uid, content))
        except (ApiError, ApiUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the run is, its numbers are kept and others have their turn
            count = error.error_count() if isinstance(error, ValidationError) else 1
            where = {"namespace": row.namespace, "run": row.name}
            log.warning("content cannot be read", **where, error=type(error).__name__, faults=count)
            return replace(read, row=row, is_unreadable=True)

    async def _commit(self, runs: Sequence[ReadRun]) -> dict[str, str | None]:
        """Commit runs that were read: first their rows and costs, then their contents. Return their versions by UID."""
        await self.rows.upsert([run.row for run in runs if run.row and not run.row.is_private])
        for cost in await self.costs.fix([run.cost for run in runs if run.cost]):
            self.metrics.cost.labels(cost.model).inc(cost.nano_dollars / 1e9)
        await self.rows.upsert([run.row for run in runs if run.row and run.row.is_private])
        await self.rows.gone([run.uid for run in runs if run.version is None], microseconds(self.clock.now()))
        for run in runs:
            if run.is_unreadable and await self.contents.remove(run.uid):
                self.metrics.contents_lost.inc()
        if contents := [run.content for run in runs if run.content]:
            self.metrics.rows.labels("contents").inc(len(await self.contents.put_all(contents)))
        return {run.uid: run.version for run in runs}


def _has_version(committed: Committed | None, version: str) -> bool:
    return committed is not None and committed.is_ended and committed.resource_version == version


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield items in lists of at most ``size``."""
    every = list(items)
    for start in range(0, len(every), size):
        yield every[start : start + size]

"""Retention: removes contents, rows and audit by age, in batches that no writer waits for long."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sympozium_archive import dialects
from sympozium_archive.database import Database
from sympozium_archive.tables import CONTENT_NONE, audit, audit_horizon, key_uses, run_contents, runs
from sympozium_archive.times import microseconds

BATCH_ROWS = 500
"""Rows that one transaction removes."""


@dataclass(frozen=True)
class AgeLimits:
    """Seconds for which the archive keeps what it has."""

    contents: float
    """From a content's storing."""
    runs: float
    """From a run's creation. A run that Kubernetes has keeps its row."""
    audit: float
    """From a change."""


@dataclass(frozen=True)
class Removed:
    """Numbers of rows that were removed."""

    contents: int
    runs: int
    audit: int


async def remove_expired(database: Database, limits: AgeLimits, now: datetime, batch_rows: int = BATCH_ROWS) -> Removed:
    """Remove everything that is older than its limit. Stopped in between, the next call goes on. Raises DatabaseUnavailable."""

    def cutoff(seconds: float) -> int:
        return microseconds(now - timedelta(seconds=seconds))

    old_contents = select(run_contents.c.uid).where(run_contents.c.stored_at < cutoff(limits.contents))
    old_runs = select(runs.c.uid).where(runs.c.created_at < cutoff(limits.runs), runs.c.deleted_at.is_not(None))
    old_uses = select(key_uses.c.uid).where(key_uses.c.used_at < cutoff(limits.runs)).order_by(key_uses.c.used_at)
    horizon = cutoff(limits.audit)
    await _raise_horizon(database, horizon)
    await _remove(database, key_uses, old_uses.limit(batch_rows))
    return Removed(
        contents=await _remove(
            database, run_contents, old_contents.order_by(run_contents.c.stored_at).limit(batch_rows)
        ),
        runs=await _remove(database, runs, old_runs.order_by(runs.c.created_at).limit(batch_rows)),
        audit=await _remove(
            database, audit, select(audit.c.id).where(audit.c.at < horizon).order_by(audit.c.at).limit(batch_rows)
        ),
    )


async def _remove(database: Database, table: Table, expired: Select[tuple[object]]) -> int:
    """Remove a table's expired rows, one batch per transaction, and return their number."""
    [key] = table.primary_key.columns
    total = 0
    while True:
        async with database.writing() as connection:
            keys = (await connection.execute(expired)).scalars().all()
            if keys:
                await connection.execute(delete(table).where(key.in_(keys)))
            if keys and table is run_contents:
                await _mark_removed(connection, list(keys))
        total += len(keys)
        if not keys:
            return total


async def _mark_removed(connection: AsyncConnection, uids: list[object]) -> None:
    await connection.execute(update(runs).where(runs.c.uid.in_(uids)).values(content_state=CONTENT_NONE))


async def _raise_horizon(database: Database, before: int) -> None:
    """Let rows of the audit go that are older. The trigger refuses all others, and the horizon never falls."""
    async with database.writing() as connection:
        await connection.execute(
            dialects.insert_or_nothing(audit_horizon, database.dialect).values(id=1, before=before)
        )
        higher = func.coalesce(audit_horizon.c.before, 0) < before
        await connection.execute(update(audit_horizon).where(audit_horizon.c.id == 1, higher).values(before=before))

"""Rows of runs: how they come into the table, whoever saw the run, in any order and any number of times."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Update,
    and_,
    bindparam,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from sympozium_archive import dialects
from sympozium_archive.column_types import Microseconds, ResourceVersion, storable
from sympozium_archive.database import Database
from sympozium_archive.tables import CONTENT_KEPT, CONTENT_NONE, CONTENT_UNREAD, run_contents, runs, stored_runs

ENDED_PHASES = ("Succeeded", "Failed", "Cancelled")
DELETED = "deleted"
"""Error of a run that was deleted before it ended."""


@dataclass(frozen=True)
class RunRow:
    """A run as the table has it. Times are microseconds since 1970 UTC; None is what is not known."""

    uid: str
    namespace: str
    name: str
    created_at: int
    """Time of acceptance, to the order of lists. The first one that is stored stays."""
    instance: str | None = None
    instance_uid: str | None = None
    source: str | None = None
    key_id: str | None = None
    user: str | None = None
    session: str | None = None
    model: str | None = None
    phase: str | None = None
    error: str | None = None
    """Type of the error."""
    start: str | None = None
    """``warm`` or ``cold``."""
    started_at: int | None = None
    first_token_at: int | None = None
    ended_at: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tool_calls: int | None = None
    waiting_ms: int | None = None
    first_token_ms: int | None = None
    duration_ms: int | None = None
    resource_version: str | None = None
    deleted_at: int | None = None
    """Time at which the run was gone from Kubernetes."""
    is_private: bool = False
    """True if the run was discarded or must not be stored: its content is removed, and none is stored again."""
    content_state: int = CONTENT_UNREAD
    cost: int | None = None
    """Billionths of a US dollar, which ``run_costs`` writes; None: there is no price."""
    agent_id: str | None = None
    """Id under which a dialect knows the run's agent, if it is not ``instance_uid``."""
    trace_id: str | None = None
    """Id of the run's trace: 32 hexadecimal digits."""

    @property
    def ended(self) -> bool:
        """True if the run has ended."""
        return self.phase in ENDED_PHASES


_UIDS_PER_QUERY = 500
_COLUMNS = tuple(field.name for field in fields(RunRow))
_STORABLE = tuple((name, storable(runs.c[name])) for name in _COLUMNS)
_KEPT = ("uid", "namespace", "name", "created_at", "content_state", "cost")
"""Columns that an existing row keeps."""


@dataclass(frozen=True)
class Committed:
    """State of a run on disk: it may be deleted in Kubernetes at this version only."""

    resource_version: str | None
    is_ended: bool
    content_state: int
    """CONTENT_UNREAD, CONTENT_KEPT or CONTENT_NONE of ``tables``."""


def run_row(row: Any) -> RunRow:
    """Return the row of a query that selected all columns of ``runs``."""
    return RunRow(**{name: row[name] for name in _COLUMNS})


def has_ended(phase: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that a phase is terminal. False, not NULL, where there is none; IN would not do for many rows at once."""
    phase = func.coalesce(phase, "")
    return or_(*(phase == ended for ended in ENDED_PHASES))


class RunRows:
    """The table's writers, and what reconciliation reads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._upsert = dialects.upsert(stored_runs, database.dialect, "uid", _merged)

    async def upsert(self, rows: Iterable[RunRow], *, list_version: str | None = None) -> None:
        """Insert rows or merge them into existing ones, in one transaction.

        The newer resource version wins, an ended run is not opened again, and None never replaces what is known. ``content_state``
        is not taken over. ``list_version``: the resource version of a list that shows these runs, so Kubernetes has them, even if
        they were noted as gone before: their namespace is watched again. Raises DatabaseUnavailable.
        """
        rounds = _rounds(rows)
        if not rounds:
            return
        async with self._database.writing() as connection:
            if list_version is not None:
                await connection.execute(_found_again([row.uid for row in rounds[0]], list_version))
            for batch in rounds:
                await connection.execute(self._upsert, [_values(row) for row in batch])
            await _remove_contents(connection, [row.uid for batch in rounds for row in batch if row.is_private])

    async def gone(self, uids: Collection[str], at: int) -> None:
        """Note that runs are gone from Kubernetes since ``at``. One that has not ended is failed, ``deleted``; unknown ones are left out.

        The end of a run may be seen after its deletion: an upsert of an ended row replaces this end.
        """
        if not uids:
            return
        ended = has_ended(runs.c.phase)
        statement = (
            update(runs)
            .where(runs.c.uid == bindparam("gone_uid"), runs.c.deleted_at.is_(None))
            .values(
                deleted_at=at,
                phase=case((ended, runs.c.phase), else_="Failed"),
                error=case((ended, runs.c.error), else_=DELETED),
                ended_at=case((ended, runs.c.ended_at), else_=literal(at, Microseconds())),
            )
        )
        async with self._database.writing() as connection:
            await connection.execute(statement, [{"gone_uid": uid} for uid in sorted(uids)])

    async def remove(self, uids: Collection[str]) -> None:
        """Remove rows with their contents: an index without an archive has what Kubernetes has."""
        if uids:
            async with self._database.writing() as connection:
                await connection.execute(
                    runs.delete().where(runs.c.uid == bindparam("gone_uid")),
                    [{"gone_uid": uid} for uid in sorted(uids)],
                )

    async def committed(self, uids: Collection[str]) -> dict[str, Committed]:
        """Return what is committed of runs, by UID; unknown ones are left out."""
        columns = (runs.c.uid, runs.c.resource_version, runs.c.phase, runs.c.content_state)
        found: dict[str, Committed] = {}
        wanted = sorted(uids)
        async with self._database.reading() as connection:
            for start in range(0, len(wanted), _UIDS_PER_QUERY):
                chosen = runs.c.uid.in_(wanted[start : start + _UIDS_PER_QUERY])
                for uid, version, phase, state in await connection.execute(select(*columns).where(chosen)):
                    found[uid] = Committed(version, phase in ENDED_PHASES, state)
        return found

    async def missing_content(self, limit: int, after: RunRow | None = None) -> list[RunRow]:
        """Return ended runs in Kubernetes whose content was not read yet, oldest first; ``after`` is the last one of the page before."""
        statement = (
            select(runs)
            .where(
                runs.c.content_state == literal(CONTENT_UNREAD, literal_execute=True),  # or the index does not apply
                runs.c.deleted_at.is_(None),
                has_ended(runs.c.phase),
            )
            .order_by(runs.c.created_at, runs.c.uid)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(tuple_(runs.c.created_at, runs.c.uid) > (after.created_at, after.uid))
        async with self._database.reading() as connection:
            return [run_row(row) for row in (await connection.execute(statement)).mappings()]

    async def uids_outside(self, namespaces: Collection[str]) -> list[str]:
        """Return the runs of other namespaces than these whose rows say that they are in Kubernetes. Raises DatabaseUnavailable."""
        statement = select(runs.c.uid).where(runs.c.deleted_at.is_(None), runs.c.namespace.not_in(sorted(namespaces)))
        async with self._database.reading() as connection:
            return list((await connection.execute(statement)).scalars())

    async def uids_not_in(
        self, present: Collection[str], resource_version: str, namespace: str | None = None
    ) -> list[str]:
        """Return the runs that a list of all runs, or of a namespace's, no longer has: their rows say that they are in Kubernetes.

        ``resource_version`` is the list's: rows that were seen in a newer state are left out, because the list cannot know them.
        """
        statement = select(runs.c.uid).where(
            runs.c.deleted_at.is_(None),
            func.coalesce(runs.c.resource_version, literal("0", ResourceVersion())) <= resource_version,
            *([runs.c.namespace == namespace] if namespace is not None else []),
        )
        async with self._database.reading() as connection:
            return sorted(set((await connection.execute(statement)).scalars()).difference(present))


def _found_again(uids: Sequence[str], list_version: str) -> Update:
    """Return the statement that takes back what ``gone`` noted, of rows in no newer state than the list."""
    was_open = runs.c.error == DELETED
    is_known = or_(runs.c.is_private, runs.c.content_state == CONTENT_KEPT)
    return (
        update(runs)
        .where(
            runs.c.uid.in_(uids),
            runs.c.deleted_at.is_not(None),
            func.coalesce(runs.c.resource_version, literal("0", ResourceVersion())) <= list_version,
        )
        .values(
            deleted_at=None,
            content_state=case((is_known, runs.c.content_state), else_=CONTENT_UNREAD),
            **{
                name: case((was_open, None), else_=runs.c[name])
                for name in ("phase", "error", "ended_at", "duration_ms")
            },
        )
    )


def _values(row: RunRow) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, made_storable in _STORABLE:
        value = getattr(row, name)
        values[name] = None if value is None else made_storable(value)
    values["content_state"] = CONTENT_NONE if row.is_private else CONTENT_UNREAD
    return values


def _rounds(rows: Iterable[RunRow]) -> list[list[RunRow]]:
    """Return the rows in rounds, each with a run once at most: a statement may merge into a row once. Sorted, so that writers of
    several processes lock rows in one order.
    """
    seen: dict[str, list[RunRow]] = {}
    for row in rows:
        seen.setdefault(row.uid, []).append(row)
    uids = sorted(seen)
    longest = max(map(len, seen.values()), default=0)
    return [[seen[uid][turn] for uid in uids if len(seen[uid]) > turn] for turn in range(longest)]


def _merged(new: Any) -> dict[str, ColumnElement[Any]]:
    """Return the values of a row that existed and of one that came, by column."""
    old = stored_runs.c
    is_newer = func.coalesce(new.resource_version, 0) >= func.coalesce(old.resource_version, 0)
    wins = and_(is_newer, or_(has_ended(new.phase), not_(has_ended(old.phase))))

    def merged(column: Column[Any]) -> ColumnElement[Any]:
        came, had = new[column.name], old[column.name]
        return case((wins, func.coalesce(came, had)), else_=func.coalesce(had, came))

    values = {column.name: merged(column) for column in old if column.name not in _KEPT}
    replaces_deletion = and_(wins, old.error == DELETED, has_ended(new.phase))
    return values | {
        "error": case((replaces_deletion, new.error), else_=values["error"]),
        "deleted_at": func.coalesce(old.deleted_at, new.deleted_at),
        "is_private": or_(old.is_private, new.is_private),
    }


async def _remove_contents(connection: AsyncConnection, uids: Sequence[str]) -> None:
    """Remove the contents of runs, for good."""
    if uids:
        parameters = [{"private_uid": uid} for uid in uids]
        await connection.execute(
            run_contents.delete().where(run_contents.c.uid == bindparam("private_uid")), parameters
        )
        await connection.execute(
            update(runs).where(runs.c.uid == bindparam("private_uid")).values(content_state=CONTENT_NONE), parameters
        )

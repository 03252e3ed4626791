"""The audit: who changed what, append-only. A change has a row before it is made and a second one with its outcome, read as one."""

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, insert, select

from sympozium_archive.database import Database
from sympozium_archive.tables import audit

_FIELDS_CHARACTERS = 4000
"""Characters of a row's names of fields, below the column's bound."""


@dataclass(frozen=True)
class AuditEntry:
    """A call that changes something, or was refused. None is what is not known; no value of a field is here."""

    namespace: str | None
    actor: str | None
    """Id of the key, or subject of the token."""
    user: str | None
    surface: str
    """Dialect of the call: ``api``."""
    action: str
    """Verb, such as ``update`` or ``cancel``."""
    kind: str
    resource: str | None
    """Name of the object."""
    trace_id: str | None = None
    idempotency_key: str | None = None
    fields: tuple[str, ...] = ()
    """Names of the fields that the call sets."""


@dataclass(frozen=True)
class AuditedChange:
    """A change with its outcome. Times are microseconds since 1970 UTC."""

    change_id: str
    at: int
    """Time just before the change."""
    entry: AuditEntry
    status: int | None
    """HTTP status of the answer; None if it is not known: the process ended, or the caller left, before there was one."""
    ended_at: int | None


@dataclass(frozen=True)
class AuditFilter:
    """Conditions on changes, all of which must hold. ``since`` is the first microsecond, ``until`` the one after the last."""

    namespace: str | None = None
    namespaces: tuple[str, ...] | None = None
    """Namespaces of which the change's is one; None: any, and changes without one."""
    actor: str | None = None
    user: str | None = None
    action: str | None = None
    kind: str | None = None
    resource: str | None = None
    status: int | None = None
    since: int | None = None
    until: int | None = None


class AuditLog:
    """The audit's table. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, now: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._database = database
        self._now = now

    async def begin(self, entry: AuditEntry) -> str:
        """Store a change that is about to be made, and return its id."""
        change_id = str(uuid.uuid4())
        await self._insert([_row(entry, change_id, self._now())])
        return change_id

    async def outcome(self, change_id: str, status: int) -> None:
        """Store the HTTP status of a change's answer. The first outcome of a change stands, if it is stored again."""
        await self._insert([_outcome(change_id, status, self._now())])

    async def refused(self, entry: AuditEntry, status: int) -> None:
        """Store a call that was refused, or does not wait for the audit, with its status."""
        change_id, at = str(uuid.uuid4()), self._now()
        await self._insert([_row(entry, change_id, at), _outcome(change_id, status, at)])

    async def _insert(self, rows: Sequence[dict[str, Any]]) -> None:
        async with self._database.writing() as connection:
            for row in rows:
                await connection.execute(insert(audit).values(row))

    async def page(self, conditions: AuditFilter, *, limit: int, offset: int = 0) -> list[AuditedChange]:
        """Return changes, newest first."""
        async with self._database.reading() as connection:
            rows = await connection.execute(_query(conditions).limit(limit).offset(offset))
            return [_change(row) for row in rows.mappings()]

    async def count(self, conditions: AuditFilter) -> int:
        """Return the number of changes. Only a condition on the status looks at outcomes."""
        if conditions.status is None:
            rows = select(audit.c.id).where(*_wanted(conditions)).subquery()
        else:
            rows = _query(conditions).order_by(None).with_only_columns(audit.c.id).subquery()
        async with self._database.reading() as connection:
            number: int = (await connection.execute(select(func.count()).select_from(rows))).scalar_one()
            return number


def _row(entry: AuditEntry, change_id: str, at: int) -> dict[str, Any]:
    return asdict(entry) | {"fields": _as_text(entry.fields), "change_id": change_id, "at": at, "is_outcome": False}


def _outcome(change_id: str, status: int, at: int) -> dict[str, Any]:
    return {"change_id": change_id, "at": at, "is_outcome": True, "status": status}


def _as_text(names: tuple[str, ...]) -> str:
    """Return names as JSON, without the last ones if they are too long."""
    text = json.dumps(names)
    return text if len(text) <= _FIELDS_CHARACTERS else _as_text(names[: len(names) // 2])


def _wanted(conditions: AuditFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on changes, without that on their outcome."""
    columns = audit.c
    names = ("namespace", "actor", "user", "action", "kind", "resource")
    wanted: list[ColumnElement[bool]] = [columns.is_outcome.is_(False)]
    wanted += [columns[name] == value for name in names if (value := getattr(conditions, name)) is not None]
    if conditions.namespaces is not None:
        wanted.append(columns.namespace.in_(conditions.namespaces))
    if conditions.since is not None:
        wanted.append(columns.at >= conditions.since)
    if conditions.until is not None:
        wanted.append(columns.at < conditions.until)
    return wanted


def _query(conditions: AuditFilter) -> Select[Any]:
    end = audit.alias("outcome")
    columns = audit.c
    wanted = _wanted(conditions)
    if conditions.status is not None:
        wanted.append(end.c.status == conditions.status)
    twice = audit.alias("outcomes")  # an outcome may be stored again, when nobody knows whether it was
    first = (
        select(func.min(twice.c.id))
        .where(twice.c.change_id == columns.change_id, twice.c.is_outcome.is_(True))
        .correlate(audit)
        .scalar_subquery()
    )
    return (
        select(audit, end.c.status.label("outcome_status"), end.c.at.label("ended_at"))
        .select_from(audit.outerjoin(end, end.c.id == first))
        .where(*wanted)
        .order_by(columns.at.desc(), columns.id.desc())
    )


def _change(row: Any) -> AuditedChange:
    names = ("namespace", "actor", "user", "surface", "action", "kind", "resource", "trace_id", "idempotency_key")
    entry = AuditEntry(**{name: row[name] for name in names}, fields=tuple(json.loads(row["fields"] or "[]")))
    return AuditedChange(row["change_id"], row["at"], entry, row["outcome_status"], row["ended_at"])

"""Lists and counts of runs, the same for both databases."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from sympozium_archive.database import Database
from sympozium_archive.run_rows import RunRow, run_row
from sympozium_archive.tables import runs

_CURSOR = "."
_MOST_DIGITS = 18


class InvalidCursor(ValueError):
    """A text that is no cursor of a list."""


@dataclass(frozen=True)
class RunFilter:
    """Conditions on runs; None: any. Times are microseconds since 1970, of a run's acceptance: ``since`` <= time < ``until``."""

    namespace: str | None = None
    namespaces: tuple[str, ...] | None = None
    """Namespaces of which the run's is one; None: any."""
    name: str | None = None
    q: str | None = None
    """Text in the run's name."""
    instance: str | None = None
    phase: str | None = None
    source: str | None = None
    start: str | None = None
    error: str | None = None
    key: str | None = None
    session: str | None = None
    user: str | None = None
    since: int | None = None
    until: int | None = None


_FILTERED = {
    "namespace": runs.c.namespace,
    "name": runs.c.name,
    "instance": runs.c.instance,
    "phase": runs.c.phase,
    "source": runs.c.source,
    "start": runs.c.start,
    "error": runs.c.error,
    "key": runs.c.key_id,
    "session": runs.c.session,
    "user": runs.c.user,
}
"""Columns of the filter's texts."""
_NEWEST = (runs.c.created_at.desc(), runs.c.uid.desc())


@dataclass(frozen=True)
class RunPage:
    """A page of runs, the newest first, and the cursor of the next page; None: this is the last."""

    rows: list[RunRow]
    before: str | None


@dataclass(frozen=True)
class RunCount:
    """Number of an instance's runs in a phase."""

    namespace: str
    instance: str | None
    phase: str | None
    runs: int


class RunQueries:
    """Readers of the table of runs. Every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, wanted: RunFilter, *, limit: int, before: str | None = None) -> RunPage:
        """Return at most ``limit`` runs that Kubernetes has, those that were accepted last first.

        Pages neither repeat nor leave out a run that is there all the time, whatever comes and goes between them. Raises InvalidCursor.
        """
        conditions = [*_present(wanted), *([_is_before(before)] if before is not None else [])]
        statement = select(runs).where(*conditions).order_by(*_NEWEST).limit(limit + 1)
        async with self._database.reading() as connection:
            found = [run_row(row) for row in (await connection.execute(statement)).mappings()]
        rows = found[:limit]
        return RunPage(rows, _cursor(rows[-1]) if len(found) > limit else None)

    async def counts(self, wanted: RunFilter) -> list[RunCount]:
        """Return the numbers of runs that Kubernetes has, per instance and phase, by namespace and instance."""
        group = (runs.c.namespace, runs.c.instance, runs.c.phase)
        statement = select(*group, func.count()).where(*_present(wanted)).group_by(*group)
        async with self._database.reading() as connection:
            found = [RunCount(*row) for row in await connection.execute(statement)]
        return sorted(found, key=lambda count: (count.namespace, count.instance or "", count.phase or ""))

    async def history(self, wanted: RunFilter, *, limit: int, offset: int) -> list[RunRow]:
        """Return at most ``limit`` runs after the newest ``offset``, those that were accepted last first, whether Kubernetes has them
        or not.
        """
        keys = select(runs.c.uid).where(*_conditions(wanted)).order_by(*_NEWEST).limit(limit).offset(offset).subquery()
        statement = select(runs).join(keys, keys.c.uid == runs.c.uid).order_by(*_NEWEST)  # skipped rows are not read
        async with self._database.reading() as connection:
            return [run_row(row) for row in (await connection.execute(statement)).mappings()]

    async def count(self, wanted: RunFilter) -> int:
        """Return the number of runs, whether Kubernetes has them or not."""
        statement = select(func.count()).select_from(runs).where(*_conditions(wanted))
        async with self._database.reading() as connection:
            return (await connection.execute(statement)).scalar_one()

    async def known(self, uids: Collection[str]) -> set[str]:
        """Return those of the UIDs whose runs the table has."""
        statement = select(runs.c.uid).where(runs.c.uid.in_(sorted(uids)))
        async with self._database.reading() as connection:
            return set((await connection.execute(statement)).scalars())

    async def run(self, uid: str) -> RunRow | None:
        """Return a run by its UID, whether Kubernetes has it or not; None if the table does not have it."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(runs).where(runs.c.uid == uid))).mappings().one_or_none()
        return None if row is None else run_row(row)


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter, for which the indexes of its columns are used."""
    texts = [column == getattr(wanted, name) for name, column in _FILTERED.items() if getattr(wanted, name) is not None]
    return [*texts, *_named(wanted.q), *within(wanted.namespaces), *times(wanted.since, wanted.until)]


def _named(text: str | None) -> list[ColumnElement[bool]]:
    """Return the condition that a run's name, which has no capitals, has a text in it; None: any."""
    return [] if text is None else [runs.c.name.contains(text.lower(), autoescape=True)]


def within(namespaces: Sequence[str] | None) -> list[ColumnElement[bool]]:
    """Return the conditions that a run's namespace is one of these; None: any."""
    return [] if namespaces is None else [runs.c.namespace.in_(namespaces)]


def times(since: int | None, until: int | None) -> list[ColumnElement[bool]]:
    """Return the conditions that runs were accepted at ``since`` or later, and before ``until``."""
    found: list[ColumnElement[bool]] = []
    if since is not None:
        found.append(runs.c.created_at >= since)
    if until is not None:
        found.append(runs.c.created_at < until)
    return found


def _present(wanted: RunFilter) -> Sequence[ColumnElement[bool]]:
    """Return the conditions of a filter on runs that Kubernetes has.

    They are few in a large archive: the index of those few is used, because ``coalesce`` keeps the others out.
    """
    texts = {name: getattr(wanted, name) for name in _FILTERED}
    chosen = [
        func.coalesce(_FILTERED[name], "", type_=_FILTERED[name].type) == text
        for name, text in texts.items()
        if text is not None
    ]
    if wanted.namespaces is not None:
        chosen.append(func.coalesce(runs.c.namespace, "", type_=runs.c.namespace.type).in_(wanted.namespaces))
    return [runs.c.deleted_at.is_(None), *chosen, *_named(wanted.q), *times(wanted.since, wanted.until)]


def _cursor(row: RunRow) -> str:
    return f"{row.created_at}{_CURSOR}{row.uid}"


def _is_before(cursor: str) -> ColumnElement[Any]:
    """Return the condition that a run comes after the cursor's in a list, the newest first."""
    moment, _, uid = cursor.partition(_CURSOR)
    if not uid or not (moment.isascii() and moment.isdecimal()) or len(moment) > _MOST_DIGITS:
        raise InvalidCursor(cursor)
    accepted = int(moment)
    bound = runs.c.created_at <= accepted  # by this part the index is used
    return and_(bound, or_(runs.c.created_at < accepted, runs.c.uid < uid))

"""State of the index of runs, by which replicas that do not keep it know how far it is."""

from dataclasses import dataclass

from sqlalchemy import select

from sympozium_archive import dialects
from sympozium_archive.database import Database
from sympozium_archive.tables import run_index

_ID = 1


@dataclass(frozen=True)
class IndexedRuns:
    """Progress of the replica that keeps the index."""

    read: int = 0
    """Number of runs that its first list has read."""
    expected: int | None = None
    """Number of runs that the list will have read, if the API server told it."""
    confirmed_at: int | None = None
    """Time at which the table was last known to be whole, in microseconds since 1970; None: never yet."""


class RunIndexState:
    """The only row of its table. Every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._upsert = dialects.upsert(run_index, database.dialect, "id", lambda new: dict(new.items()))

    async def read(self) -> IndexedRuns:
        """Return the state that was written last."""
        statement = select(run_index.c.read, run_index.c.expected, run_index.c.confirmed_at)
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return IndexedRuns(*row) if row else IndexedRuns()

    async def write(self, state: IndexedRuns) -> None:
        """Replace the state."""
        values = {
            "id": _ID,
            "read": state.read,
            "expected": state.expected,
            "confirmed_at": state.confirmed_at,
        }
        async with self._database.writing() as connection:
            await connection.execute(self._upsert, [values])

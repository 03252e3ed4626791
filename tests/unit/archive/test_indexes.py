"""Indexes: every filter of the history, and every list and count of what Kubernetes has, reads an index in order."""

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from sympozium_archive.database import Database
from sympozium_archive.run_queries import RunFilter, RunQueries
from sympozium_archive.run_rows import RunRow, RunRows

HISTORY = {
    "created": RunFilter(),
    "namespace": RunFilter(namespace="team-a"),
    "instance": RunFilter(instance="coder"),
    "source": RunFilter(source="mcp"),
    "key_id": RunFilter(key="key-1"),
    "user": RunFilter(user="ada"),
    "phase": RunFilter(phase="Failed"),
}


class Plans:
    """Plans of the statements that a database runs, as lines of EXPLAIN."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements: list[tuple[str, Any]] = []
        engine: AsyncEngine = database._engine
        event.listen(engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _: Any, __: Any, statement: str, parameters: Any, ___: Any, ____: Any) -> None:
        if statement.startswith("SELECT"):
            self._statements.append((statement, parameters))

    async def last(self) -> str:
        statement, parameters = self._statements[-1]
        is_sqlite = self._database.dialect == "sqlite"
        async with self._database.reading() as connection:
            if not is_sqlite:  # so small a table is scanned by itself
                await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                await connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
            explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
            found = await connection.exec_driver_sql(explain + statement, parameters)
            return "\n".join(str(row[-1]) for row in found)


def reads_one_of(plan: str, indexes: tuple[str, ...]) -> bool:
    return any(index in plan for index in indexes)


@pytest.fixture
async def filled(database: Database) -> Database:
    rows = (RunRow(f"u{n}", f"team-{n % 3}", "run", created_at=n, instance=f"i{n % 7}") for n in range(500))
    await RunRows(database).upsert(rows)
    return database


@pytest.mark.parametrize("column", HISTORY)
async def test_a_page_of_the_history_reads_an_index_in_order(filled: Database, column: str) -> None:
    plans = Plans(filled)
    await RunQueries(filled).history(HISTORY[column], limit=50, offset=1000)
    plan = await plans.last()
    assert f"runs_{column}" in plan


async def test_lists_and_counts_read_what_kubernetes_has_alone(filled: Database) -> None:
    present = ("runs_present", "runs_counted")  # PostgreSQL takes either for so few rows
    plans, queries = Plans(filled), RunQueries(filled)
    for wanted in (RunFilter(), RunFilter(instance="i1")):
        await queries.newest(wanted, limit=50)
        assert reads_one_of(await plans.last(), present)
        await queries.counts(wanted)
        assert reads_one_of(await plans.last(), present)

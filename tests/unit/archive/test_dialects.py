"""What differs between SQLite and PostgreSQL is in one module."""

from pathlib import Path

import pytest

import sympozium_archive
from sympozium_archive import dialects
from sympozium_archive.database import Database
from sympozium_archive.run_queries import RunFilter, RunQueries
from sympozium_archive.run_rows import RunRow, RunRows

SPECIFIC = ("sqlalchemy.dialects", "on_conflict", "advisory", "PRAGMA", "TRIGGER", "IMMEDIATE")


def test_no_other_module_speaks_a_dialect() -> None:
    folder = Path(sympozium_archive.__file__).parent
    sources = {file.name: file.read_text() for file in folder.rglob("*.py") if file.name != "dialects.py"}
    assert [(name, word) for name, source in sources.items() for word in SPECIFIC if word in source] == []


def test_a_locks_number_never_changes_and_fits_into_a_bigint() -> None:
    """Replicas of two versions must meet in the same lock."""
    assert dialects.lock_key("index") == 7115571816837525713
    assert 0 <= dialects.lock_key("archiver") < 2**63


@pytest.mark.parametrize("text", ["%", "_", "' OR 1=1 --", "\\", "\x00", "\ud800", "*", "x" * 300])
async def test_a_filter_means_its_text_and_no_pattern(database: Database, text: str) -> None:
    await RunRows(database).upsert(
        [
            RunRow("u1", "team-a", "run", created_at=1, user=text, model=text),
            RunRow("u2", "team-a", "run", created_at=2, user="ada", model="ada"),
        ]
    )
    queries = RunQueries(database)
    wanted = RunFilter(user=text)
    assert [row.uid for row in await queries.history(wanted, limit=10, offset=0)] == ["u1"]
    assert [row.uid for row in (await queries.newest(wanted, limit=10)).rows] == ["u1"]
    assert [count.runs for count in await queries.counts(wanted)] == [1]

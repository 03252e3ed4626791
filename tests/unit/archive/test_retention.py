"""Retention, with an injected clock: what is older goes, in batches; what Kubernetes has stays; the audit is append-only."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from tests.databases import content_of
from tests.fakes.clock import FakeClock

import sympozium_archive
from sympozium_archive.database import Database
from sympozium_archive.retention import AgeLimits, Removed, remove_expired
from sympozium_archive.run_contents import Contents
from sympozium_archive.run_rows import RunRow, RunRows
from sympozium_archive.tables import audit, runs
from sympozium_archive.times import microseconds, moment

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = AgeLimits(contents=30 * 86400, runs=400 * 86400, audit=400 * 86400)


def row(uid: str, created: datetime = START) -> RunRow:
    return RunRow(uid, "team-a", "run", created_at=microseconds(created), phase="Succeeded")


async def change(database: Database, at: datetime, change_id: str = "c1") -> None:
    async with database.writing() as connection:
        await connection.execute(audit.insert().values(change_id=change_id, at=microseconds(at), action="update"))


async def audited(database: Database) -> list[str]:
    async with database.reading() as connection:
        return list((await connection.execute(select(audit.c.change_id).order_by(audit.c.id))).scalars())


async def uids(database: Database) -> list[str]:
    async with database.reading() as connection:
        return list((await connection.execute(select(runs.c.uid).order_by(runs.c.uid))).scalars())


def test_times_come_back_as_they_were() -> None:
    for each in (START, START + timedelta(microseconds=1), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)):
        assert moment(microseconds(each)) == each
    assert microseconds(datetime(1, 1, 1, tzinfo=UTC)) == 0
    assert moment(2**63 - 1).year == 9999


async def test_contents_go_before_their_runs(database: Database) -> None:
    rows, contents = RunRows(database), Contents(database, FakeClock())
    await rows.upsert([row("u1")])
    await contents.put("u1", {"answer": "Hello"})
    assert await remove_expired(database, LIMITS, START + 30 * DAY) == Removed(0, 0, 0)
    assert await remove_expired(database, LIMITS, START + 31 * DAY) == Removed(1, 0, 0)
    assert await content_of(database, "u1") is None
    assert await rows.missing_content(10) == []
    assert await uids(database) == ["u1"]


async def test_a_run_goes_with_its_content_unless_kubernetes_has_it(database: Database) -> None:
    clock = FakeClock()
    clock.advance(399 * 86400)
    rows, contents = RunRows(database), Contents(database, clock)
    await rows.upsert([row("gone"), row("present"), row("recent", START + 10 * DAY)])
    await rows.gone(["gone", "recent"], at=microseconds(START + 2 * DAY))
    await contents.put("gone", {"answer": "Hello"})
    assert await remove_expired(database, LIMITS, START + 401 * DAY) == Removed(0, 1, 0)
    assert await uids(database) == ["present", "recent"]
    assert await content_of(database, "gone") is None


async def test_everything_goes_in_batches(database: Database) -> None:
    rows = RunRows(database)
    await rows.upsert(dataclasses.replace(row(f"u{number}"), deleted_at=1) for number in range(25))
    for number in range(15):
        await change(database, START, f"c{number}")
    assert await remove_expired(database, LIMITS, START + 500 * DAY, batch_rows=10) == Removed(0, 25, 15)
    assert await uids(database) == []


async def test_the_audit_goes_by_age_and_not_otherwise(database: Database) -> None:
    await change(database, START, "old")
    await change(database, START + 100 * DAY, "recent")
    assert await remove_expired(database, LIMITS, START + 401 * DAY) == Removed(0, 0, 1)
    assert await audited(database) == ["recent"]
    # A clock that jumps back lets nothing go, and takes nothing back.
    assert await remove_expired(database, LIMITS, START) == Removed(0, 0, 0)
    assert await audited(database) == ["recent"]


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET action = 'x'", "DELETE FROM audit", "DELETE FROM audit WHERE change_id = 'c1'"]
)
async def test_the_database_refuses_changes_of_the_audit(database: Database, statement: str) -> None:
    async def attempt() -> None:
        async with database.writing() as connection:
            await connection.execute(text(statement))

    await change(database, START)
    await remove_expired(database, LIMITS, START + DAY)
    with pytest.raises(DBAPIError, match="the audit is append-only"):
        await attempt()
    assert await audited(database) == ["c1"]


async def test_postgresql_refuses_to_truncate_the_audit(database: Database) -> None:
    async def attempt() -> None:
        async with database.writing() as connection:
            await connection.execute(
                text("TRUNCATE audit" if database.dialect == "postgresql" else "DELETE FROM audit")
            )

    await change(database, START)
    with pytest.raises(DBAPIError, match="the audit is append-only"):
        await attempt()


def test_only_retention_removes_rows_of_the_audit_and_nobody_changes_them() -> None:
    sources = {file.name: file.read_text() for file in Path(sympozium_archive.__file__).parent.rglob("*.py")}
    forbidden = (
        "update(audit)",
        "audit.update(",
        "delete(audit)",
        "audit.delete(",
        "UPDATE audit",
        "DELETE FROM audit",
    )
    assert [(name, word) for name, source in sources.items() for word in forbidden if word in source] == []
    assert [name for name, source in sources.items() if "delete(table)" in source] == ["retention.py"]


async def test_an_id_of_the_audit_is_larger_than_all_before(database: Database) -> None:
    for number in range(3):
        await change(database, START, f"c{number}")
    async with database.reading() as connection:
        assert (await connection.execute(select(func.max(audit.c.id)))).scalar_one() == 3

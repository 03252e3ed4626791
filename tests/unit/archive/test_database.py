"""The database: transactions, one writer in a file, locks, and one error for every way in which it is away."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from tests.databases import PostgresServer, new_server

from sympozium_archive import database as database_module
from sympozium_archive.database import Database
from sympozium_archive.database_settings import DatabaseSettings
from sympozium_archive.migrate import migrate
from sympozium_archive.run_rows import RunRow, RunRows
from sympozium_archive.tables import run_contents, runs
from sympozium_archive.unavailable import DatabaseUnavailable

ROW = RunRow(uid="u1", namespace="team-a", name="run-1", created_at=1)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that the test may stop."""
    server = new_server()
    yield server
    server.stop()
    shutil.rmtree(server.folder)


@pytest.fixture
async def mortal(own_server: PostgresServer) -> AsyncIterator[Database]:
    """A database on a server that the test may stop."""
    settings = DatabaseSettings(own_server.url("postgres"), pool_size=1, max_overflow=1, pool_timeout_seconds=1)
    await migrate(settings)
    opened = Database.open(settings)
    yield opened
    await opened.close()


async def count(database: Database) -> int:
    async with database.reading() as connection:
        found: int = (await connection.execute(select(func.count()).select_from(runs))).scalar_one()
        return found


async def test_nothing_of_a_transaction_stays_that_fails(database: Database) -> None:
    async def insert_twice() -> None:
        async with database.writing() as connection:
            await connection.execute(runs.insert().values(uid="u1", namespace="a", name="b", created_at=1))
            await connection.execute(runs.insert().values(uid="u1", namespace="a", name="b", created_at=1))

    with pytest.raises(IntegrityError):
        await insert_twice()
    assert await count(database) == 0


async def test_foreign_keys_count(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.writing() as connection:
            await connection.execute(run_contents.insert().values(uid="unknown", content=b"", bytes=0, stored_at=1))


async def test_an_error_of_ours_is_not_taken_for_a_database_that_is_away(database: Database) -> None:
    with pytest.raises((ProgrammingError, Exception), match="no_such_table"):
        async with database.reading() as connection:
            await connection.execute(text("SELECT * FROM no_such_table"))
    with pytest.raises(ConnectionError, match="the caller's own"):
        async with database.reading():
            raise ConnectionError("the caller's own")


async def test_readers_see_what_is_committed_while_somebody_writes(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(runs.insert().values(uid="u1", namespace="a", name="b", created_at=1))
        assert await count(database) == 0
    assert await count(database) == 1


async def test_writers_wait_for_one_another_and_none_is_refused(database: Database) -> None:
    rows = RunRows(database)
    await asyncio.gather(*(rows.upsert([RunRow(f"u{n}", "team-a", "run", created_at=n)]) for n in range(100)))
    assert await count(database) == 100
    assert database.pool_in_use == 0


async def test_a_caller_that_gives_up_leaves_no_connection_behind(database: Database) -> None:
    async def write_and_wait() -> None:
        async with database.writing() as connection:
            await connection.execute(runs.insert().values(uid="u1", namespace="a", name="b", created_at=1))
            await asyncio.sleep(60)

    for _ in range(20):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(write_and_wait(), 0.02)
    assert database.pool_in_use == 0
    assert await count(database) == 0
    await RunRows(database).upsert([ROW])


async def test_every_statement_is_timed_the_failed_ones_too(database_settings: DatabaseSettings) -> None:
    seconds: list[float] = []
    database = Database.open(database_settings, seconds.append)
    assert await count(database) == 0
    statements = len(seconds)
    assert statements
    with pytest.raises(Exception, match="no_such_table"):
        async with database.reading() as connection:
            await connection.execute(text("SELECT * FROM no_such_table"))
    assert len(seconds) > statements
    assert all(0 <= each < 60 for each in seconds)
    await database.close()


async def test_no_value_is_in_an_error(database: Database) -> None:
    with pytest.raises(IntegrityError) as broken:
        async with database.writing() as connection:
            await connection.execute(runs.insert().values(uid="u1", namespace=None, name="secret", created_at=1))
    assert "secret" not in str(broken.value).split("DETAIL")[0]


async def test_one_process_at_a_time_has_a_lock(
    database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "LOCK_RETRY_SECONDS", 0.01)
    mine, theirs = Database.open(database_settings), Database.open(database_settings)
    async with mine.lock("index") as held:
        await held.confirm()
        if database_settings.is_sqlite:  # its file has one process
            return
        async with theirs.lock("another"):
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), theirs.lock("index"):
                pass
    async with asyncio.timeout(60), theirs.lock("index"):
        pass
    await mine.close()
    await theirs.close()


async def test_a_lost_lock_is_noticed(mortal: Database, own_server: PostgresServer) -> None:
    async with mortal.lock("index") as held:
        own_server.stop()
        with pytest.raises(DatabaseUnavailable):
            await held.confirm()
    own_server.start()
    async with mortal.lock("index"):
        pass


async def test_a_server_that_was_away_is_used_again(mortal: Database, own_server: PostgresServer) -> None:
    rows = RunRows(mortal)
    await rows.upsert([ROW])
    own_server.stop()
    for attempt in (rows.upsert([ROW]), count(mortal), mortal.check_version()):
        with pytest.raises(DatabaseUnavailable) as away:
            await attempt
        assert away.value.reason == "unreachable"
    own_server.start()
    assert await count(mortal) == 1


async def test_a_server_that_stops_within_a_transaction_stores_nothing_of_it(
    mortal: Database, own_server: PostgresServer
) -> None:
    async def insert_and_stop() -> None:
        async with mortal.writing() as connection:
            await connection.execute(runs.insert().values(uid="u1", namespace="a", name="b", created_at=1))
            own_server.stop()

    with pytest.raises(DatabaseUnavailable) as away:
        await insert_and_stop()
    assert away.value.reason == "unreachable"
    own_server.start()
    assert await count(mortal) == 0


async def test_a_pool_without_a_free_connection_says_so_in_time(mortal: Database) -> None:
    async with mortal.reading(), mortal.reading():
        assert mortal.pool_in_use == mortal.settings.max_connections
        with pytest.raises(DatabaseUnavailable) as full:
            await count(mortal)
    assert full.value.reason == "busy"
    assert await count(mortal) == 0


async def test_a_statement_that_takes_too_long_is_given_up(postgres_server: PostgresServer) -> None:
    async def sleep() -> None:
        async with database.reading() as connection:
            await connection.execute(text("SELECT pg_sleep(60)"))

    database = Database(DatabaseSettings(postgres_server.url("postgres")), statement_seconds=0.1)
    with pytest.raises(DatabaseUnavailable, match="a statement took too long") as busy:
        await sleep()
    assert busy.value.reason == "busy"
    async with asyncio.timeout(60):
        while True:  # the next one has no more time, which on a busy machine may not suffice either
            with suppress(DatabaseUnavailable):
                async with database.reading() as connection:
                    assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
                break
    await database.close()


async def test_a_wrong_user_is_refused(postgres_server: PostgresServer) -> None:
    url = postgres_server.url("postgres")
    for wrong in (url.set(username="nobody"), url.set(database="missing")):
        database = Database.open(DatabaseSettings(wrong))
        with pytest.raises(DatabaseUnavailable) as refused:
            await database.check_version()
        assert refused.value.reason == "refused"
        await database.close()


async def test_a_standby_reads_and_refuses_changes(postgres_server: PostgresServer, tmp_path: Path) -> None:
    await migrate(settings := DatabaseSettings(postgres_server.url("postgres")))
    postgres_server.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
    database = Database.open(settings)
    try:
        assert await count(database) == 0
        with pytest.raises(DatabaseUnavailable) as refused:
            await RunRows(database).upsert([ROW])
        assert refused.value.reason == "read-only"
    finally:
        await database.close()
        postgres_server.execute(
            "SET default_transaction_read_only = off", "ALTER DATABASE postgres RESET default_transaction_read_only"
        )


@pytest.fixture
async def full_file(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """A file that may not grow, as on a full volume."""
    shutil.copy(sqlite_template, path := tmp_path / "full.db")
    opened = Database.open(DatabaseSettings.of_file(path))
    await RunRows(opened).upsert([ROW])
    async with opened.reading() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await connection.exec_driver_sql(
            f"PRAGMA max_page_count = {pages}"
        )  # of this one connection, the pool's only one
    yield opened
    await opened.close()


async def test_a_full_disk_refuses_changes_and_is_still_read(full_file: Database) -> None:
    rows = RunRows(full_file)
    with pytest.raises(DatabaseUnavailable) as full:
        await rows.upsert(RunRow(f"u{n}", "team-a", "run" * 80, created_at=n) for n in range(1000))
    assert full.value.reason == "full"
    assert await count(full_file) == 1
    async with full_file.reading() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    await rows.upsert(RunRow(f"u{n}", "team-a", "run", created_at=n) for n in range(1000))
    assert await count(full_file) == 1000


async def test_a_file_that_is_locked_damaged_or_missing_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "damaged.db").write_bytes(b"not a database" * 1000)
    for name, reason in {"damaged.db": "failing", "missing/archive.db": "unreachable"}.items():
        database = Database.open(DatabaseSettings.of_file(tmp_path / name))
        with pytest.raises(DatabaseUnavailable) as unavailable:
            await count(database)
        assert unavailable.value.reason == reason
        await database.close()


async def test_a_file_has_a_log_and_every_commit_is_on_disk(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_template, path := tmp_path / "archive.db")
    database = Database.open(DatabaseSettings.of_file(path))
    async with database.reading() as connection:
        for pragma, value in {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}.items():
            assert (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar_one() == value
    await database.close()
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)

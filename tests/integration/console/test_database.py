"""The database in the console's life: away, newer or wrong at the start, and away while the console serves."""

import asyncio
import dataclasses
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.databases import connections_ended
from tests.integration.conftest import eventually
from tests.integration.console.conftest import DEMO, RETENTION, Console, error, serving

from sympozium_api import environment
from sympozium_api.settings_parser import InvalidSetting
from sympozium_archive.database import Database
from sympozium_archive.database_settings import DatabaseSettings, parse_url
from sympozium_archive.schema import VERSION, WrongVersion
from sympozium_console.console_database import open_database, watch_version
from sympozium_console.console_loops import supervised
from sympozium_console.console_settings import ArchiveSettings, ConsoleSettings, from_environment
from sympozium_http import background_loop

NOWHERE = DatabaseSettings(parse_url("postgresql+asyncpg://someone:s3cr3t@127.0.0.1:1/archive"))


def settings_of(database: DatabaseSettings) -> ConsoleSettings:
    return ConsoleSettings("here", archive=ArchiveSettings(database, RETENTION))


async def make_newer(database: Database) -> None:
    async with database.writing() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")


@pytest.fixture
async def without_database(tmp_path: Path) -> AsyncIterator[Console]:
    database = Database.open(NOWHERE)
    async with serving(tmp_path, database, ArchiveSettings(NOWHERE, RETENTION)) as console:
        yield console
    await database.close()


class TestStart:
    @pytest.fixture(autouse=True)
    async def ended(self) -> AsyncIterator[None]:
        yield
        await connections_ended()

    async def test_a_newer_database_stops_the_start_with_both_versions(self, database: Database) -> None:
        await make_newer(database)
        with pytest.raises(SystemExit, match=f"9999.*{VERSION}"):
            await open_database(settings_of(database.settings), lambda _: None)

    async def test_a_database_without_a_schema_stops_the_start(self, tmp_path: Path) -> None:
        with pytest.raises(SystemExit, match="migrate"):
            await open_database(settings_of(DatabaseSettings.of_file(tmp_path / "empty.db")), lambda _: None)

    async def test_a_file_that_cannot_be_there_stops_the_start(self, tmp_path: Path) -> None:
        with pytest.raises(SystemExit, match=r"absent/archive\.db"):
            await open_database(settings_of(DatabaseSettings.of_file(tmp_path / "absent/archive.db")), lambda _: None)

    async def test_the_start_goes_on_without_a_database_that_is_away_and_names_no_password(self) -> None:
        with capture_logs() as lines:
            database = await open_database(settings_of(NOWHERE), lambda _: None)
        await database.close()
        assert "127.0.0.1:1/archive" in str(lines)
        assert "s3cr3t" not in str(lines)

    async def test_a_database_that_comes_back_newer_ends_the_server(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sympozium_console.console_database.RETRY_SECONDS", 0.01)
        away = Database.open(NOWHERE)
        watching = asyncio.create_task(watch_version(away))
        await asyncio.sleep(0.05)
        assert not watching.done()
        await make_newer(database)
        monkeypatch.setattr(away, "check_version", database.check_version)
        with pytest.raises(WrongVersion):
            await asyncio.wait_for(watching, 60)
        await away.close()

    async def test_the_index_is_made_again_at_each_start(self, tmp_path: Path) -> None:
        settings = ConsoleSettings("here", scratch=tmp_path)
        for _ in range(2):
            database = await open_database(settings, lambda _: None)
            await database.check_version()
            await database.close()


class TestSettings:
    def test_retentions_and_the_database_are_read(self) -> None:
        variables = {
            environment.NAMESPACE: "here",
            environment.ARCHIVE_ENABLED: "true",
            environment.DATABASE_URL: "sqlite+aiosqlite:////archive/archive.db",
            environment.ARCHIVE_CONTENT_RETENTION: "7d12h",
        }
        archive = from_environment(variables).archive
        assert archive is not None
        assert (archive.content_retention_seconds, archive.retention_seconds) == (648_000, 34_560_000)
        assert archive.database.is_sqlite
        assert from_environment({environment.NAMESPACE: "here"}).archive is None

    @pytest.mark.parametrize(
        "variables",
        [
            {environment.DATABASE_URL: "mysql://someone:s3cr3t@db/archive"},
            {environment.DATABASE_URL: "sqlite+aiosqlite:////a", environment.ARCHIVE_RETENTION: "400"},
        ],
    )
    def test_a_wrong_setting_is_named_without_a_password(self, variables: dict[str, str]) -> None:
        with pytest.raises(InvalidSetting) as refusal:
            from_environment({environment.NAMESPACE: "here", environment.ARCHIVE_ENABLED: "true"} | variables)
        assert list(variables)[-1] in str(refusal.value)
        assert "s3cr3t" not in str(refusal.value)


class TestAway:
    async def test_the_console_is_ready_and_reads_while_the_database_is_away(self, without_database: Console) -> None:
        assert (await without_database.request("GET", "/readyz")).status_code == 200
        assert (await without_database.request("GET", DEMO)).status_code == 200

    async def test_what_needs_the_database_is_a_503_with_retry_after(self, without_database: Console) -> None:
        for method, path in (("GET", "/api/v1/audit"), ("DELETE", DEMO)):
            refused = await without_database.request(method, path)
            assert error(refused, 503)["code"] == "UNAVAILABLE"
            assert int(refused.headers["retry-after"]) > 0
            assert "s3cr3t" not in refused.text
        assert without_database.kubernetes.writes == []
        assert without_database.context.metrics.database_errors._value.get() == 2


async def test_on_a_full_disk_changes_are_refused_and_reads_go_on(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "archive.db")
    settings = DatabaseSettings.of_file(tmp_path / "archive.db")
    database = Database(settings, pragmas=("max_page_count = 1",))  # as many pages as the file has
    async with serving(tmp_path, database, ArchiveSettings(settings, RETENTION)) as console:
        made = 0
        while (answer := await console.request("PATCH", DEMO, json={"maxQueuedRuns": made})).status_code == 200:
            made += 1
            assert made < 200
        assert error(answer, 503)["reason"] == "AuditUnavailable"
        assert "full" in answer.text
        assert console.instance()["spec"]["maxQueuedRuns"] == made - 1
        assert (await console.request("GET", "/api/v1/audit")).status_code == 200
        assert (await console.request("GET", DEMO)).status_code == 200
        assert console.context.metrics.database_errors._value.get() > 0
    await database.close()


async def test_a_loop_that_fails_is_counted_and_started_again(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_loop, "_FIRST_BACKOFF", 0.001)
    starts = 0

    async def loop() -> None:
        nonlocal starts
        starts += 1
        raise ValueError("a bug")

    context = dataclasses.replace(console.context, loops={"broken": loop})
    running = [asyncio.create_task(run()) for run in supervised(context)]
    await eventually(lambda: starts > 2)
    assert context.metrics.loop_failures.labels("broken")._value.get() >= 2
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)

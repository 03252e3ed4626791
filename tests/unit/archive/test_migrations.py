"""Migrations: from nothing to this version, any number of times, from two processes at once, and never backwards."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from tests.databases import PostgresServer

from sympozium_archive import migrations, schema
from sympozium_archive.database import Database
from sympozium_archive.database_settings import DatabaseSettings
from sympozium_archive.migrate import migrate
from sympozium_archive.tables import metadata
from sympozium_archive.unavailable import DatabaseUnavailable


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """A database without a schema."""
    if request.param == "sqlite":
        return DatabaseSettings.of_file(tmp_path / "empty.db")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"empty_{tmp_path.name.lower().replace('-', '_')}"
    server.execute(f"CREATE DATABASE {name}")
    return DatabaseSettings(server.url(name))


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found: list[object] = compare_metadata(context, metadata)
    return found


async def set_version(database: Database, version: str) -> None:
    async with database.writing() as connection:
        await connection.execute(schema.alembic_version.update().values(version_num=version))


def test_the_code_needs_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.VERSION]


async def test_migrations_make_the_tables_of_the_code(database: Database) -> None:
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []
    await database.check_version()


async def test_scratch_has_the_same_schema_without_migrations(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_text("what a console of another version left behind")
    scratch = await Database.open_scratch(str(path))
    await scratch.check_version()
    async with scratch.reading() as connection:
        assert await connection.run_sync(differences) == []
        made = (await connection.exec_driver_sql("SELECT name FROM sqlite_master ORDER BY name")).scalars().all()
    await scratch.close()
    await migrate(migrated := DatabaseSettings.of_file(tmp_path / "migrated.db"))
    other = Database.open(migrated)
    async with other.reading() as connection:
        assert (
            await connection.exec_driver_sql("SELECT name FROM sqlite_master ORDER BY name")
        ).scalars().all() == made
    await other.close()


async def test_two_migrations_at_once_and_a_third_one_succeed(empty: DatabaseSettings) -> None:
    await asyncio.gather(migrate(empty), migrate(empty))
    await migrate(empty)
    database = Database.open(empty)
    await database.check_version()
    await database.close()


async def test_a_database_without_a_schema_is_named(empty: DatabaseSettings) -> None:
    database = Database.open(empty)
    with pytest.raises(
        schema.WrongVersion, match=r"has no schema, this version of Sympozium needs \d{4}: run `python -m"
    ):
        await database.check_version()
    await database.close()


async def test_a_newer_database_stops_the_start_and_the_migration_with_both_versions(database: Database) -> None:
    await set_version(database, "9001")
    message = f"has schema version 9001, this version of Sympozium needs {schema.VERSION}: install"
    with pytest.raises(schema.WrongVersion, match=message):
        await database.check_version()
    with pytest.raises(schema.WrongVersion, match=message):
        await migrate(database.settings)


async def test_an_older_database_stops_the_start(database: Database) -> None:
    await set_version(database, "0000")
    with pytest.raises(
        schema.WrongVersion, match=r"has schema version 0000.*run `python -m sympozium_archive migrate`"
    ):
        await database.check_version()


async def test_a_migration_gives_up_when_its_database_does_not_answer(tmp_path: Path) -> None:
    for settings in (
        DatabaseSettings(PostgresServer(tmp_path, tmp_path).url("archive")),
        DatabaseSettings.of_file(tmp_path / "missing" / "archive.db"),
    ):
        with pytest.raises(DatabaseUnavailable) as unavailable:
            await migrate(settings, wait_seconds=0)
        assert unavailable.value.reason == "unreachable"


def command(url: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "sympozium_archive", "migrate", "--wait", "0"]
    environ = {**os.environ, "DATABASE_URL": url}
    return subprocess.run(arguments, check=False, capture_output=True, text=True, env=environ)


def test_the_command_migrates_and_says_in_a_sentence_why_it_cannot(tmp_path: Path) -> None:
    done = command(f"sqlite+aiosqlite:///{tmp_path}/archive.db")
    assert (done.returncode, done.stderr) == (0, "")
    assert f'"version": "{schema.VERSION}"' in done.stdout
    refused = command("postgresql+asyncpg://sympozium:s3cret@127.0.0.1:1/archive")
    assert (refused.returncode, refused.stdout) == (1, "")
    sentence = r"postgresql\+asyncpg://sympozium:\*\*\*@127\.0\.0\.1:1/archive: the database is unreachable \(\w+\)\n"
    assert re.fullmatch(sentence, refused.stderr)


async def test_a_database_of_another_encoding_is_refused_with_what_to_do(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    name = f"latin_{tmp_path.name.lower().replace('-', '_')}"
    postgres_server.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    settings = DatabaseSettings(postgres_server.url(name))
    message = "has the encoding LATIN1, the archive needs UTF8: create one with ENCODING"
    with pytest.raises(schema.WrongEncoding, match=message):
        await migrate(settings)
    database = Database.open(settings)
    with pytest.raises(schema.WrongEncoding, match=message):
        await database.check_version()
    await database.close()

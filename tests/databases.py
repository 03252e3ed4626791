"""Databases for tests: the same cases run on a SQLite file and on a PostgreSQL server of this session.

The server is Debian's package (``local/postgresql.sh`` installs it), started as an unprivileged user on a Unix socket in a temporary
folder. Without the package the cases on PostgreSQL are skipped.
"""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from sympozium_archive.database import Database
from sympozium_archive.database_settings import POSTGRESQL, DatabaseSettings
from sympozium_archive.migrate import migrate
from sympozium_archive.run_contents import Contents
from sympozium_domain.audit import audit_trail

UNPRIVILEGED = 65534
"""The user ``nobody``: PostgreSQL does not run as root."""
OPTIONS = ("fsync=off", "full_page_writes=off", "listen_addresses=", "max_connections=60", "shared_buffers=32MB")
_TEMPLATE = "migrated"


_WITH_ITS_PARENT = ("sh", "-c", 'exec 3<&0; "$@" </dev/null & read -r _ <&3; kill -QUIT $!; wait', "sh")
"""A shell that ends its command, as a crash does, when its own input ends: also if the tests are killed."""


class PostgresServer:
    """A server. ``url("postgres")`` is a database that every server has."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> URL:
        return URL.create(POSTGRESQL, username="tests", database=database, query={"host": str(self.folder)})

    def start(self) -> None:
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        command += [argument for option in OPTIONS for argument in ("-c", option)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_WITH_ITS_PARENT, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=unprivileged(),
                group=unprivileged(),
            )
        ready = [str(self.programs / "pg_isready"), "-q", "-h", str(self.folder)]
        for _ in range(600):
            if not subprocess.run(ready, check=False).returncode:
                return
            assert self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Stop at once, as a crash does."""
        assert self._process
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            check=False,
            capture_output=True,
            text=True,
            user=unprivileged(),
            group=unprivileged(),
        )
        assert done.returncode == 0, done.stderr

    def execute(self, *statements: str) -> None:
        arguments = [argument for statement in statements for argument in ("-c", statement)]
        self.run("psql", "-q", "-h", str(self.folder), "-U", "tests", "-d", "postgres", *arguments)


def unprivileged() -> int | None:
    return UNPRIVILEGED if os.getuid() == 0 else None


def new_server() -> PostgresServer:
    """A new server with a folder of its own, started; whoever makes it stops it and removes the folder."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.skip("PostgreSQL is not installed: local/postgresql.sh")
    folder = Path(tempfile.mkdtemp(prefix="sympozium-postgresql-"))
    if os.getuid() == 0:
        os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
    server = PostgresServer(found[-1].parent, folder)
    server.run("initdb", "-D", str(folder / "data"), "-U", "tests", "-A", "trust", "-N", "-E", "UTF8", "--locale", "C")
    server.start()
    return server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    server = new_server()
    try:
        server.execute(f"CREATE DATABASE {_TEMPLATE}")
        asyncio.run(migrate(DatabaseSettings(server.url(_TEMPLATE))))
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    asyncio.run(migrate(DatabaseSettings.of_file(path)))
    return path


_numbers = itertools.count()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_settings(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseSettings:
    """A database of its own for each test, with the schema."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "archive.db")
        return DatabaseSettings.of_file(tmp_path / "archive.db")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"test_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    return DatabaseSettings(server.url(name), pool_size=5, max_overflow=2, pool_timeout_seconds=60)


@pytest.fixture
async def database(database_settings: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A database whose audit a change awaits for as long as a busy machine takes: two seconds are a promise to callers."""
    monkeypatch.setattr(audit_trail, "WRITE_SECONDS", 60.0)
    opened = Database.open(database_settings)
    yield opened
    async with asyncio.timeout(60):
        while opened.pool_in_use:  # by a task that the test has cancelled: its connection would outlive the pool
            await asyncio.sleep(0.01)
    await opened.close()
    await connections_ended()


async def content_of(database: Database, uid: str) -> Any:
    """The stored content of a run; None if there is none."""
    content = await Contents(database).open(uid)
    if content is None:
        return None
    found = b"".join([piece async for piece in content.pieces])
    assert len(found) == content.size
    return json.loads(found)


async def connections_ended() -> None:
    """Wait until the threads of all connections to files have ended: one that was given up tells so to a loop that must not be closed."""
    async with asyncio.timeout(30):
        while any("_connection_worker_thread" in thread.name for thread in threading.enumerate()):
            await asyncio.sleep(0.01)

"""The console's database in the life of its process: opened before the server starts, and checked until it was there once."""

import asyncio

import structlog

from sympozium_api import environment
from sympozium_archive.database import Database, StatementObserver
from sympozium_archive.schema import UnusableDatabase
from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_console.console_settings import ConsoleSettings

log = structlog.get_logger()

_INDEX_FILE = "index.db"
RETRY_SECONDS = 5.0
"""Seconds between two attempts to reach a database that was away at the start."""


async def open_database(settings: ConsoleSettings, observe: StatementObserver) -> Database:
    """Return the archive's database, which may be away, or an empty index in the scratch folder.

    Raises SystemExit if the archive has another schema than this code's, and names both versions; if its encoding is not UTF8; or
    if its URL is wrong.
    """
    if settings.archive is None:
        path = settings.scratch / _INDEX_FILE
        try:
            return await Database.open_scratch(str(path), observe)
        except (DatabaseUnavailable, OSError) as error:
            raise SystemExit(f"the index {path} cannot be made: {error}") from error
    database = Database.open(settings.archive.database, observe)
    try:
        await database.check_version()
    except DatabaseUnavailable as error:
        if error.reason == "refused" or settings.archive.database.is_sqlite:  # a file is there, or never will be
            raise await _refusal(database, error) from error
        log.warning(
            "the archive cannot be reached, starting without it", database=str(database.settings), reason=str(error)
        )
    except UnusableDatabase as error:
        raise await _refusal(database, error) from error
    return database


async def _refusal(database: Database, error: Exception) -> SystemExit:
    await database.close()
    return SystemExit(f"{environment.DATABASE_URL}: {database.settings}: {error}")


async def watch_version(database: Database) -> None:
    """Check the version of a database as soon as it can be reached, then wait without end. Raises UnusableDatabase."""
    while True:
        try:
            await database.check_version()
        except DatabaseUnavailable:
            await asyncio.sleep(RETRY_SECONDS)
        else:
            await asyncio.Event().wait()

"""Migrations: brings a database's schema to this code's version. Only this module and ``migrations`` import Alembic."""

import asyncio
import time
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from sympozium_archive import dialects, schema
from sympozium_archive.database import Database
from sympozium_archive.database_settings import DatabaseSettings
from sympozium_archive.unavailable import DatabaseUnavailable

WAIT_SECONDS = 120.0
"""Seconds for which a migration waits for its database, which may start together with it."""
RETRY_SECONDS = 2.0

log = structlog.get_logger()


async def migrate(settings: DatabaseSettings, wait_seconds: float = WAIT_SECONDS) -> None:
    """Bring the schema to this code's version, in one transaction; a second migration at the same time waits, and finds it done.

    Raises WrongVersion if the database is newer, WrongEncoding, and DatabaseUnavailable if it does not answer in time.
    """
    database = Database(settings, statement_seconds=None)
    deadline = time.monotonic() + wait_seconds
    try:
        while not await _upgraded(database, is_last=time.monotonic() >= deadline):  # noqa: ASYNC110 - a server tells nobody
            await asyncio.sleep(RETRY_SECONDS)
    finally:
        await database.close()


async def _upgraded(database: Database, *, is_last: bool) -> bool:
    """Upgrade and return True, or return False if the database does not answer yet and this is not the last attempt."""
    try:
        async with database.writing() as connection:
            await connection.run_sync(_upgrade)
    except DatabaseUnavailable as error:
        if is_last or error.reason not in ("unreachable", "busy"):
            raise
        log.warning("the database does not answer", database=str(database.settings), reason=error.reason)
        return False
    return True


def _upgrade(connection: Connection) -> None:
    schema.check_encoding(connection)
    dialects.lock_transaction(connection, dialects.MIGRATION_LOCK)
    found = schema.version(connection)
    if found is not None and found > schema.VERSION:
        raise schema.WrongVersion(found)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    command.upgrade(config, "head")
    log.info("the schema is ready", version=schema.VERSION, before=found)

"""The database: its connections, transactions and locks, and how long statements take."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Connection, NullPool, QueuePool, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from sympozium_archive import dialects, schema
from sympozium_archive.database_settings import DatabaseSettings
from sympozium_archive.unavailable import DatabaseUnavailable, connecting, working

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 60.0
"""Seconds after which a statement on PostgreSQL is given up: its server may be gone without a word. A migration may take longer."""
LOCK_RETRY_SECONDS = 2.0
"""Seconds between two attempts to get a lock."""
_WRITING = "sympozium_writing"
_KEEPALIVE = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""PostgreSQL finds out within 25 s that a process with a lock is gone without a word, with its node."""

StatementObserver = Callable[[float], None]
"""Function that is called with the seconds of each statement, failed ones too."""


class HeldLock:
    """A lock that this process has until the ``async with`` ends, or its connection does."""

    def __init__(self, connection: AsyncConnection | None) -> None:
        self._connection = connection

    async def confirm(self) -> None:
        """Raise DatabaseUnavailable if the lock's connection is lost, and so the lock."""
        if self._connection is not None:
            with connecting():
                await self._connection.exec_driver_sql("SELECT 1")


class Database:
    """A SQLite file or a PostgreSQL database. Opening it connects to nothing: it may be away while a process starts."""

    def __init__(
        self,
        settings: DatabaseSettings,
        observe: StatementObserver = lambda _: None,
        *,
        statement_seconds: float | None = STATEMENT_SECONDS,
        pragmas: tuple[str, ...] = (),
    ) -> None:
        self.settings = settings
        self._engine = _engine(settings, statement_seconds)
        self._writer = asyncio.Semaphore(1 if settings.is_sqlite else settings.max_connections)
        _observe(self._engine, observe)
        event.listen(self._engine.sync_engine, "begin", _begin)
        if settings.is_sqlite:
            event.listen(self._engine.sync_engine, "connect", lambda made, _: dialects.prepare_sqlite(made, *pragmas))

    @classmethod
    def open(cls, settings: DatabaseSettings, observe: StatementObserver = lambda _: None) -> Self:
        """Return the database. Its schema is made by ``migrate``, and checked by ``check_version``."""
        return cls(settings, observe)

    @classmethod
    async def open_scratch(cls, path: str, observe: StatementObserver = lambda _: None) -> Self:
        """Return a new, empty SQLite database at a path, in place of what is there. It does not survive its node."""
        settings = DatabaseSettings.of_file(path)
        await asyncio.to_thread(schema.remove_file, path)
        database = cls(settings, observe, pragmas=("synchronous = OFF",))
        async with database.writing() as connection:
            await connection.run_sync(schema.create)
        return database

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``, for the module ``dialects``."""
        return self._engine.dialect.name

    @property
    def pool_in_use(self) -> int:
        """The number of connections that are in use now."""
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Return a transaction that only reads. Raises DatabaseUnavailable."""
        return self._transaction(writing=False)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Return a transaction that is committed when its block ends. In SQLite there is one at a time. Raises DatabaseUnavailable."""
        async with self.turn(self._writer), self._transaction(writing=True) as connection:
            yield connection

    @asynccontextmanager
    async def turn(self, slots: asyncio.Semaphore) -> AsyncIterator[None]:
        """Wait for one of these slots, no longer than for a connection. Raises DatabaseUnavailable."""
        try:
            async with asyncio.timeout(self.settings.pool_timeout_seconds):
                await slots.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable("busy", "others have their turn") from error
        try:
            yield
        finally:
            slots.release()

    @asynccontextmanager
    async def _transaction(self, *, writing: bool) -> AsyncIterator[AsyncConnection]:
        with connecting():
            connection = await self._engine.connect()
        try:
            with working():
                await connection.execution_options(**{_WRITING: writing})
                async with connection.begin():
                    yield connection
        finally:
            await asyncio.shield(connection.close())  # a caller that is cancelled leaves no connection behind

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[HeldLock]:
        """Wait until this process has a lock, and keep it. A SQLite file has one process, which has every lock at once.

        With PostgreSQL the lock lives as long as a connection of its own: ``confirm`` it, because the connection may be lost unseen.
        Raises DatabaseUnavailable.
        """
        if self.settings.is_sqlite:
            yield HeldLock(None)
            return
        engine = _engine(self.settings, STATEMENT_SECONDS, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with connecting():
            connection = await engine.connect()
        try:
            while True:
                with connecting():
                    held = await connection.run_sync(dialects.try_lock, name)
                if held:
                    break
                await asyncio.sleep(LOCK_RETRY_SECONDS)
            yield HeldLock(connection)
        finally:
            await connection.invalidate()
            await connection.close()

    async def time(self) -> datetime:
        """Return the time of day by the clock of the PostgreSQL server. Raises DatabaseUnavailable."""
        async with self.reading() as connection:
            now: datetime = (await connection.exec_driver_sql("SELECT clock_timestamp()")).scalar_one()
        return now

    async def check_version(self) -> None:
        """Raise WrongVersion, with both versions, if the schema is not this code's. Raises WrongEncoding and DatabaseUnavailable."""
        async with self.reading() as connection:
            await connection.run_sync(schema.check)


def _engine(settings: DatabaseSettings, statement_seconds: float | None, **options: Any) -> AsyncEngine:
    if settings.is_sqlite:
        options |= {"pool_size": settings.max_connections, "max_overflow": 0}
    else:
        options["connect_args"] = {
            "timeout": CONNECT_SECONDS,
            "command_timeout": statement_seconds,
            "server_settings": {"application_name": "sympozium", **_KEEPALIVE},
        }
        if "poolclass" not in options:
            options |= {"pool_size": settings.pool_size, "max_overflow": settings.max_overflow, "pool_pre_ping": True}
            options["pool_recycle"] = settings.pool_recycle_seconds
    if "poolclass" not in options:
        options["pool_timeout"] = settings.pool_timeout_seconds
    # Parameters are questions, answers and names: none of them may reach a log with an error.
    return create_async_engine(settings.url, hide_parameters=True, **options)


def _begin(connection: Connection) -> None:
    dialects.begin(connection, writing=connection.get_execution_options().get(_WRITING, False))


def _observe(engine: AsyncEngine, observe: StatementObserver) -> None:
    """Call ``observe`` after each statement."""

    def before(*call: Any) -> None:
        call[4].began_at = time.monotonic()

    def after(*call: Any) -> None:
        observe(time.monotonic() - call[4].began_at)

    def failed(error: ExceptionContext) -> None:
        began_at = getattr(error.execution_context, "began_at", None)
        if began_at is not None:
            observe(time.monotonic() - began_at)
        if isinstance(
            error.original_exception, TimeoutError
        ):  # of the driver, which does not count it among its errors
            raise DatabaseUnavailable("busy", "a statement took too long") from error.original_exception

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    event.listen(engine.sync_engine, "after_cursor_execute", after)
    event.listen(engine.sync_engine, "handle_error", failed)

"""Settings of the database, read once. What they refuse is named without the database's password."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from sympozium_api import environment
from sympozium_api.settings_parser import InvalidSetting, SettingsParser, whole_number

POSTGRESQL, SQLITE = "postgresql+asyncpg", "sqlite+aiosqlite"
"""The two kinds of databases, as schemes of URLs."""
MAX_SQLITE_CONNECTIONS = 8
"""Connections to a file at most. Each is a thread, and a file has one writer."""


@dataclass(frozen=True)
class DatabaseSettings:
    """The database and the connections to it."""

    url: URL
    pool_size: int = 20
    """Connections that stay open."""
    max_overflow: int = 30
    """Connections beyond those, closed after use."""
    pool_timeout_seconds: int = 30
    """Seconds for which a statement waits for a connection."""
    pool_recycle_seconds: int = 1800
    """Seconds after which a connection is replaced, because firewalls and failovers end old ones silently."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], file: str = environment.DATABASE_URL_FILE) -> Self:
        """Return the settings of this process. The URL is in a variable, or else in a mounted file. Raises InvalidSetting."""
        parser = SettingsParser(environ)
        return cls(
            url=parse_url(environ.get(environment.DATABASE_URL) or _mounted(file)),
            pool_size=parser.read(environment.DB_POOL_SIZE, "20", whole_number(1, 1000)),
            max_overflow=parser.read(environment.DB_MAX_OVERFLOW, "30", whole_number(0, 1000)),
            pool_timeout_seconds=parser.read(environment.DB_POOL_TIMEOUT_SECONDS, "30", whole_number(1, 3600)),
            pool_recycle_seconds=parser.read(environment.DB_POOL_RECYCLE_SECONDS, "1800", whole_number(1, 86400)),
        )

    @classmethod
    def of_file(cls, path: os.PathLike[str] | str) -> Self:
        """Return the settings of a SQLite database in a file."""
        return cls(URL.create(SQLITE, database=str(path)))

    @property
    def is_sqlite(self) -> bool:
        """True if the database is a file, which one process writes."""
        return self.url.drivername == SQLITE

    @property
    def max_connections(self) -> int:
        """The most connections at a time."""
        most = self.pool_size + self.max_overflow
        return min(most, MAX_SQLITE_CONNECTIONS) if self.is_sqlite else most

    def __str__(self) -> str:
        return self.url.set(query={}).render_as_string(hide_password=True)


def parse_url(text: str) -> URL:
    """Return a database's URL. Raises InvalidSetting, which names the URL without its password."""
    text = text.strip()
    if not text:
        raise InvalidSetting(f"{environment.DATABASE_URL} is not set, and there is no {environment.DATABASE_URL_FILE}")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise _refusal(text, "is not a URL such as postgresql+asyncpg://user:password@host:5432/name") from None
    if url.drivername not in (POSTGRESQL, SQLITE):
        raise _refusal(text, f"does not begin with {POSTGRESQL}:// or {SQLITE}:///")
    if not url.database:
        raise _refusal(text, "names no database")
    if url.drivername == POSTGRESQL and set("/@") & set(url.database):
        raise _refusal(text, "has characters in its user or password that must be written as %2F or %40")
    if url.drivername == SQLITE and (url.host or not Path(url.database).is_absolute()):
        raise _refusal(text, f"is not a file such as {SQLITE}:////var/lib/sympozium/archive.db")
    return url


def _refusal(text: str, reason: str) -> InvalidSetting:
    return InvalidSetting(f"{environment.DATABASE_URL}: {without_password(text)!r} {reason}")


def without_password(text: str) -> str:
    """Return what a URL names, valid or not, without anything that may be a password: its user and its query are left out too."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return "***"
    credentials, at, host = rest.rpartition("@")
    host = host.partition("?")[0]
    if not at:
        host = re.sub(r":[^/]*", ":***", host)  # a password without its host
    return f"{scheme}://{'***@' if credentials or at else ''}{host}"


def _mounted(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{environment.DATABASE_URL}: {file} cannot be read: {type(error).__name__}") from error

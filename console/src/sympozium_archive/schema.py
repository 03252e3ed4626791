"""The schema's version: what this code needs, and what a database has."""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect

from sympozium_archive import dialects
from sympozium_archive.tables import metadata

VERSION = "0007"
"""Version of the schema that this code reads and writes: the last migration. Versions are numbers of four digits."""

alembic_version = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True, nullable=False)
)
"""Alembic's own table, with one row."""


class UnusableDatabase(Exception):
    """The database cannot hold this code's archive. Its start must end: waiting would not help."""


class WrongEncoding(UnusableDatabase):
    """The database has no encoding for all characters, so that some question or answer would stop the archive."""

    def __init__(self, found: str) -> None:
        advice = f"create one with ENCODING '{dialects.UTF8}' TEMPLATE template0"
        super().__init__(f"the database has the encoding {found}, the archive needs {dialects.UTF8}: {advice}")


class WrongVersion(UnusableDatabase):
    """The database's schema is another one than this code's. Its start must end: it would damage what it does not know."""

    def __init__(self, found: str | None) -> None:
        self.found, self.needed = found, VERSION
        has = f"has schema version {found}" if found else "has no schema"
        if found and found > VERSION:
            advice = "install the version of Sympozium that made it, or a newer one"
        else:
            advice = "run `python -m sympozium_archive migrate`"
        super().__init__(f"the database {has}, this version of Sympozium needs {VERSION}: {advice}")


def version(connection: Connection) -> str | None:
    """Return the version of a database's schema; None if it has none."""
    if not inspect(connection).has_table(alembic_version.name):
        return None
    return connection.execute(alembic_version.select()).scalars().first()


def check_encoding(connection: Connection) -> None:
    """Raise WrongEncoding if the database cannot store every character."""
    if (found := dialects.encoding(connection)) != dialects.UTF8:
        raise WrongEncoding(found)


def check(connection: Connection) -> None:
    """Raise WrongVersion if the schema is not this code's, WrongEncoding if the database cannot store every character."""
    check_encoding(connection)
    found = version(connection)
    if found != VERSION:
        raise WrongVersion(found)


def create(connection: Connection) -> None:
    """Create the schema in an empty database without migrations, which need Alembic."""
    metadata.create_all(connection)
    dialects.create_audit_guard(connection)
    dialects.create_usage_triggers(connection)
    alembic_version.create(connection)
    connection.execute(alembic_version.insert().values(version_num=VERSION))


def remove_file(path: str) -> None:
    """Remove a SQLite database with its log."""
    for suffix in ("", "-wal", "-shm"):
        Path(path + suffix).unlink(missing_ok=True)

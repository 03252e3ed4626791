"""Differences between SQLite and PostgreSQL: upserts, locks, triggers, a growing id, and how a connection begins."""

import hashlib
from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Insert, Integer, Table, Text, literal_column, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.sql.base import ReadOnlyColumnCollection

Merge = Callable[[ReadOnlyColumnCollection[str, Any]], dict[str, ColumnElement[Any]]]
"""Function that makes the merged values, by column, from the columns of the row to insert."""

Condition = Callable[[ReadOnlyColumnCollection[str, Any]], ColumnElement[bool]]
"""Function that makes a condition from the columns of the row to insert."""

BigSerial = BigInteger().with_variant(Integer(), "sqlite")
"""Type of an id that the database counts: SQLite counts an INTEGER only."""

MIGRATION_LOCK = "migration"
UTF8 = "UTF8"
"""PostgreSQL's name of the encoding that has every character."""

_PRAGMAS = (
    "journal_mode = WAL",  # readers and the writer do not wait for one another
    "synchronous = FULL",  # what is committed survives the node: its object in Kubernetes may go next
    "foreign_keys = ON",
    "busy_timeout = 10000",
    "cache_size = -4096",
    "journal_size_limit = 16777216",
)

_SQLITE_AUDIT_GUARD = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
       BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
       WHEN OLD.at >= coalesce((SELECT before FROM audit_horizon), 0)
       BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
)
_POSTGRESQL_AUDIT_GUARD = (
    """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF TG_OP = 'DELETE' AND OLD.at < coalesce((SELECT before FROM audit_horizon), 0) THEN RETURN OLD; END IF;
         RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'restrict_violation';
       END $$""",
    "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
)

USAGE_LOCK = "usage"
FORGET_LOCK = "usage-forget"
"""Lock of the transactions that remove stored usage, because they remove several rows in any order."""
_HALF_HOUR, _DAY = 1_800_000_000, 86_400_000_000
SPAN_LENGTHS = (_DAY, _HALF_HOUR)
"""Lengths of the times whose usage is stored, in microseconds, the longest first."""
_COUNTED = (
    *("namespace", "instance", "source", "key_id", "model", "phase", "error", "start", "created_at", "ended_at"),
    *("input_tokens", "output_tokens", "waiting_ms", "first_token_ms", "duration_ms", "cost"),
)
"""Columns of runs whose change changes the usage of a time."""


def partial(condition: str) -> dict[str, Any]:
    """Return the arguments of an index that has the rows of a condition only."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def create_audit_guard(connection: Connection) -> None:
    """Create the triggers that refuse changes of the audit."""
    statements = _SQLITE_AUDIT_GUARD if connection.dialect.name == "sqlite" else _POSTGRESQL_AUDIT_GUARD
    for statement in statements:
        connection.exec_driver_sql(statement)


def create_usage_triggers(connection: Connection) -> None:
    """Create the triggers that remove the stored usage of a time when its runs change, whoever changes them.

    In PostgreSQL the change takes a shared lock first: who stores usage takes it alone for a moment, and so waits for changes that
    have not seen its row. The triggers run at the end of a transaction, when it has the locks of all its runs, and one transaction
    after the other removes what is stored: so none waits for one that waits for it.
    """
    changes = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in _COUNTED)
    if connection.dialect.name == "sqlite":
        for name, event, run, when in (
            ("insert", "INSERT", "NEW", ""),
            ("delete", "DELETE", "OLD", ""),
            ("update", "UPDATE", "OLD", f"WHEN {changes}"),
        ):
            connection.exec_driver_sql(
                f"CREATE TRIGGER usage_{name} AFTER {event} ON runs {when} BEGIN {_forget_usage(run)}; END"
            )
        return
    connection.exec_driver_sql(
        f"""CREATE FUNCTION usage_forget() RETURNS trigger LANGUAGE plpgsql AS $$
       DECLARE run record;
       BEGIN
         IF TG_OP = 'INSERT' THEN run := NEW; ELSE run := OLD; END IF;
         PERFORM pg_advisory_xact_lock_shared({lock_key(USAGE_LOCK)});
         IF EXISTS (SELECT FROM usage_spans WHERE {_spans_of("run")}) THEN
           PERFORM pg_advisory_xact_lock({lock_key(FORGET_LOCK)});
           {_forget_usage("run")};
         END IF;
         RETURN NULL;
       END $$"""
    )
    for name, event, when in (
        ("changes", "INSERT OR DELETE", ""),
        ("update", "UPDATE", f"WHEN ({changes})"),
    ):
        connection.exec_driver_sql(
            f"CREATE CONSTRAINT TRIGGER usage_{name} AFTER {event} ON runs DEFERRABLE INITIALLY DEFERRED"
            f" FOR EACH ROW {when} EXECUTE FUNCTION usage_forget()"
        )


def replace_usage_triggers(connection: Connection) -> None:
    """Create PostgreSQL's triggers of ``create_usage_triggers`` again, as they are now."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("DROP FUNCTION usage_forget() CASCADE")
        create_usage_triggers(connection)


def _forget_usage(run: str) -> str:
    """Return the statement that removes the usage of the times that a run, a row of a trigger, belongs to. Its acceptance never changes."""
    return f"DELETE FROM usage_spans WHERE {_spans_of(run)}"  # noqa: S608 - of constants alone


def _spans_of(run: str) -> str:
    return " OR ".join(
        f"(length = {length} AND since = {run}.created_at / {length} * {length})" for length in SPAN_LENGTHS
    )


def row_version(dialect: str) -> ColumnElement[str]:
    """Return the column that tells a row from one with the same key that another transaction wrote. A SQLite file has one process."""
    return literal_column("''" if dialect == "sqlite" else "xmin::text", Text())


def insert_or_nothing(table: Table, dialect: str) -> Insert:
    """Return an INSERT that leaves rows alone which are there."""
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def upsert(table: Table, dialect: str, key: str, merge: Merge, only_if: Condition | None = None) -> Insert:
    """Return an INSERT that updates the row which has the key: ``merge`` makes the values from the inserted row's columns.

    A row for which ``only_if`` does not hold is left alone.
    """
    if dialect == "sqlite":
        lite = sqlite.insert(table)
        where = only_if(lite.excluded) if only_if else None
        return lite.on_conflict_do_update(index_elements=[key], set_=merge(lite.excluded), where=where)
    postgres = postgresql.insert(table)
    where = only_if(postgres.excluded) if only_if else None
    return postgres.on_conflict_do_update(index_elements=[key], set_=merge(postgres.excluded), where=where)


def begin(connection: Connection, *, writing: bool) -> None:
    """Begin a transaction on a connection. In SQLite a writer locks the file first: a reader that starts to write may be refused."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def prepare_sqlite(connection: DBAPIConnection, *pragmas: str) -> None:
    """Prepare a new connection to a file. Python's driver must not begin transactions by itself, because DDL would end them."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (*_PRAGMAS, *pragmas):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def encoding(connection: Connection) -> str:
    """Return the encoding of a database's texts. A SQLite file has one of Unicode's always."""
    if connection.dialect.name == "sqlite":
        return UTF8
    return str(connection.exec_driver_sql("SHOW server_encoding").scalar())


def lock_key(name: str) -> int:
    """Return the number of an advisory lock: 63 bits of the name's hash, so that other programs' locks are not met."""
    return int.from_bytes(hashlib.sha256(f"sympozium.ai/{name}".encode()).digest()[:8], "big") >> 1


def lock_transaction(connection: Connection, name: str) -> None:
    """Wait until no other transaction has the lock. In SQLite a writing transaction is alone anyway."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock_key(name)})")


def try_lock(connection: Connection, name: str) -> bool:
    """Take a lock for the connection's life if nobody has it, and return whether the connection has it. PostgreSQL only."""
    return bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({lock_key(name)})").scalar())

"""Tables of the archive. Times are microseconds since 1970 UTC, JSON is text or compressed, and no text has a length of its own."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    false,
    text,
)

from sympozium_archive.column_types import (
    Count,
    Microseconds,
    NanoDollars,
    ResourceVersion,
    StorableText,
    stored_column,
)
from sympozium_archive.dialects import BigSerial, partial

metadata = MetaData()

CONTENT_UNREAD, CONTENT_KEPT, CONTENT_NONE = 0, 1, 2
"""States of a run's content: not read yet; in ``run_contents``; removed, or never to be stored."""

runs = Table(
    "runs",
    metadata,
    Column("uid", StorableText(), primary_key=True),
    Column("namespace", StorableText(), nullable=False),
    Column("name", StorableText(), nullable=False),
    Column("instance", StorableText()),
    Column("instance_uid", StorableText()),
    Column("source", StorableText()),
    Column("key_id", StorableText()),
    Column("user", StorableText()),
    Column("session", StorableText()),
    Column("model", StorableText()),
    Column("phase", StorableText()),
    Column("error", StorableText()),
    Column("start", StorableText()),
    Column("created_at", Microseconds(), nullable=False),
    Column("started_at", Microseconds()),
    Column("first_token_at", Microseconds()),
    Column("ended_at", Microseconds()),
    Column("input_tokens", Count()),
    Column("output_tokens", Count()),
    Column("tool_calls", Count()),
    Column("waiting_ms", Count()),
    Column("first_token_ms", Count()),
    Column("duration_ms", Count()),
    Column("resource_version", ResourceVersion()),
    Column("deleted_at", Microseconds()),
    Column("is_private", Boolean(), nullable=False, server_default=false()),
    Column("content_state", SmallInteger(), nullable=False, server_default=text("0")),
    Column("cost", NanoDollars()),
    Column("agent_id", StorableText()),
    Column("trace_id", StorableText()),
)
"""A row per run in mode task, from its first sight. ``deleted_at``: it is gone from Kubernetes. ``is_private``: no content, ever.
``cost``: billionths of a US dollar; NULL of a run that has no price, or is not priced yet."""

stored_runs = Table("runs", MetaData(), *(stored_column(column) for column in runs.columns))
"""The same with plain types, for many rows at once: values pass ``storable`` before, which costs a twentieth of SQLAlchemy's way."""

Index("runs_created", runs.c.created_at, runs.c.uid)
for _column in ("namespace", "instance", "source", "key_id", "user", "phase"):
    Index(f"runs_{_column}", runs.c[_column], runs.c.created_at)
Index("runs_session", runs.c.session, runs.c.created_at, **partial("session IS NOT NULL"))
Index("runs_present", runs.c.created_at, runs.c.uid, **partial("deleted_at IS NULL"))
Index("runs_counted", runs.c.namespace, runs.c.instance, runs.c.phase, **partial("deleted_at IS NULL"))
Index("runs_unread", runs.c.created_at, runs.c.uid, **partial("content_state = 0 AND deleted_at IS NULL"))
Index("runs_lost", runs.c.uid, **partial("content_state = 0 AND deleted_at IS NOT NULL"))

run_contents = Table(
    "run_contents",
    metadata,
    Column("uid", StorableText(), ForeignKey("runs.uid", ondelete="CASCADE"), primary_key=True),
    Column("content", LargeBinary(), nullable=False),
    Column("bytes", Count(), nullable=False),
    Column("stored_at", Microseconds(), nullable=False),
)
"""Questions, answers and steps of ended runs, as compressed JSON; ``bytes`` is the length before."""

Index("run_contents_stored", run_contents.c.stored_at)

audit = Table(
    "audit",
    metadata,
    Column("id", BigSerial, primary_key=True),
    Column("change_id", StorableText(), nullable=False),
    Column("is_outcome", Boolean(), nullable=False, server_default=false()),
    Column("at", Microseconds(), nullable=False),
    Column("namespace", StorableText()),
    Column("actor", StorableText()),
    Column("user", StorableText()),
    Column("surface", StorableText()),
    Column("action", StorableText()),
    Column("kind", StorableText()),
    Column("resource", StorableText()),
    Column("status", SmallInteger()),
    Column("trace_id", StorableText()),
    Column("idempotency_key", StorableText()),
    Column("fields", StorableText(4096)),
)
"""Changes, append-only. A change has two rows: one before it is made, and its outcome with the HTTP status."""

Index("audit_change", audit.c.change_id)
Index("audit_at", audit.c.at)
for _column in ("namespace", "actor", "action", "resource"):
    Index(f"audit_{_column}", audit.c[_column], audit.c.at)

audit_horizon = Table(
    "audit_horizon",
    metadata,
    Column("id", SmallInteger(), primary_key=True, autoincrement=False),
    Column("before", Microseconds(), nullable=False),
)
"""One row: the trigger lets rows of the audit go that are older than ``before``, and no others."""

key_uses = Table(
    "key_uses",
    metadata,
    Column("uid", StorableText(), primary_key=True),
    Column("used_at", Microseconds(), nullable=False),
)
"""The last use of each API key, by the UID of its APIKey."""

Index("key_uses_used", key_uses.c.used_at)

run_index = Table(
    "run_index",
    metadata,
    Column("id", SmallInteger(), primary_key=True, autoincrement=False),
    Column("read", Count(), nullable=False),
    Column("expected", Count()),
    Column("confirmed_at", Microseconds()),
)
"""One row: how far the replica that fills ``runs`` has read, and when it last confirmed that the table is whole."""

usage_spans = Table(
    "usage_spans",
    metadata,
    Column("length", BigInteger(), primary_key=True, autoincrement=False),
    Column("since", Microseconds(), primary_key=True, autoincrement=False),
    Column("dimension", StorableText(), primary_key=True),
    Column("content", LargeBinary()),
)
"""Sums of the runs that were accepted in half an hour or a day, by one dimension. ``content`` is NULL until it is whole. A trigger removes
the row when a run of its time comes, changes or goes, so a row that is there is right."""

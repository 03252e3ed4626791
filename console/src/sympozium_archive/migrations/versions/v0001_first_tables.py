"""Version 0001: runs, their contents, the audit, and the progress of the index."""

import sqlalchemy as sa
from alembic import op

from sympozium_archive import dialects

revision = "0001"
down_revision = None

_RUN_TEXTS = ("instance", "instance_uid", "source", "key_id", "user", "session", "model", "phase", "error", "start")
_RUN_TIMES = ("started_at", "first_token_at", "ended_at", "deleted_at")
_RUN_COUNTS = ("input_tokens", "output_tokens", "tool_calls", "waiting_ms", "first_token_ms", "duration_ms")
_UNREAD = "content_state = 0 AND deleted_at IS NULL"
_LOST = "content_state = 0 AND deleted_at IS NOT NULL"
_AUDIT_TEXTS = ("namespace", "actor", "user", "surface", "action", "kind", "resource")


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "runs",
        sa.Column("uid", sa.Text(), primary_key=True),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in _RUN_TEXTS),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger()) for name in (*_RUN_TIMES, *_RUN_COUNTS, "resource_version")),
        sa.Column("is_private", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("content_state", sa.SmallInteger(), nullable=False, server_default=sa.text("0")),
    )
    op.create_index("runs_created", "runs", ["created_at", "uid"])
    for column in ("namespace", "instance", "source", "key_id", "user", "phase"):
        op.create_index(f"runs_{column}", "runs", [column, "created_at"])
    op.create_index("runs_present", "runs", ["created_at", "uid"], **dialects.partial("deleted_at IS NULL"))
    op.create_index(
        "runs_counted", "runs", ["namespace", "instance", "phase"], **dialects.partial("deleted_at IS NULL")
    )
    op.create_index("runs_unread", "runs", ["created_at", "uid"], **dialects.partial(_UNREAD))
    op.create_index("runs_lost", "runs", ["uid"], **dialects.partial(_LOST))
    op.create_table(
        "run_contents",
        sa.Column("uid", sa.Text(), sa.ForeignKey("runs.uid", ondelete="CASCADE"), primary_key=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("run_contents_stored", "run_contents", ["stored_at"])
    op.create_table(
        "audit",
        sa.Column("id", dialects.BigSerial, primary_key=True),
        sa.Column("change_id", sa.Text(), nullable=False),
        sa.Column("is_outcome", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in _AUDIT_TEXTS),
        sa.Column("status", sa.SmallInteger()),
        *(sa.Column(name, sa.Text()) for name in ("trace_id", "idempotency_key", "fields")),
    )
    op.create_index("audit_change", "audit", ["change_id"])
    op.create_index("audit_at", "audit", ["at"])
    for column in ("namespace", "actor", "action", "resource"):
        op.create_index(f"audit_{column}", "audit", [column, "at"])
    op.create_table(
        "audit_horizon",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("before", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "run_index",
        sa.Column("id", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("read", sa.BigInteger(), nullable=False),
        sa.Column("expected", sa.BigInteger()),
        sa.Column("confirmed_at", sa.BigInteger()),
    )
    dialects.create_audit_guard(op.get_bind())

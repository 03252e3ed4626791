"""Version 0006: usage is stored by half hour and day. The console fills the table, the newest days first."""

import sqlalchemy as sa
from alembic import op

from sympozium_archive import dialects

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table, and the triggers that remove what is no longer right."""
    op.create_table(
        "usage_spans",
        sa.Column("length", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("since", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("dimension", sa.Text(), primary_key=True),
        sa.Column("content", sa.LargeBinary()),
    )
    dialects.create_usage_triggers(op.get_bind())

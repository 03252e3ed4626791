"""Version 0004: agents and traces of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns. Of runs that were archived before, neither is known."""
    op.add_column("runs", sa.Column("agent_id", sa.Text()))
    op.add_column("runs", sa.Column("trace_id", sa.Text()))

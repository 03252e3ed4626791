"""Version 0003: costs of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column. Runs that were archived before have no cost."""
    op.add_column("runs", sa.Column("cost", sa.BigInteger()))

"""Version 0002: last uses of API keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "key_uses",
        sa.Column("uid", sa.Text(), primary_key=True),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("key_uses_used", "key_uses", ["used_at"])

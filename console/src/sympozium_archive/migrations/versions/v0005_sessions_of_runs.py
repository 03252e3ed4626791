"""Version 0005: runs are found by their session."""

from alembic import op

from sympozium_archive import dialects

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the index."""
    op.create_index("runs_session", "runs", ["session", "created_at"], **dialects.partial("session IS NOT NULL"))

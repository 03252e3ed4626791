"""Version 0007: PostgreSQL removes stored usage at the end of a transaction, so that two of them never wait for each other."""

from alembic import op

from sympozium_archive import dialects

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Replace the triggers that remove what is no longer right."""
    dialects.replace_usage_triggers(op.get_bind())

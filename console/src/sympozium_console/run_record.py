"""The fields that every answer about a run in the database has, and how they are made of its row."""

from datetime import datetime
from typing import Any, Self

from sympozium_api.base import ApiModel
from sympozium_archive.run_rows import RunRow
from sympozium_archive.times import moment_if_known


class RunRecord(ApiModel):
    """A run without its question and its answer. Null is what is not known."""

    id: str
    """UID of the AgentRun."""
    namespace: str
    name: str
    instance: str | None
    instance_uid: str | None
    """UID of the instance: one that is created again under the same name has another."""
    source: str | None
    key: str | None
    """Id of the API key that the run was made with."""
    user: str | None
    session: str | None
    model: str | None
    """Model that was called; null until the run has ended."""
    error: str | None
    """Type of the error."""
    start: str | None
    """``warm`` or ``cold``."""
    created_at: datetime
    """Time of acceptance."""
    started_at: datetime | None
    """Second in which the run's pod began to run."""
    first_token_at: datetime | None
    ended_at: datetime | None
    input_tokens: int | None
    output_tokens: int | None
    tool_calls: int | None
    waiting_ms: int | None
    """Milliseconds from acceptance to the start."""
    first_token_ms: int | None
    """Milliseconds from acceptance to the first token."""
    duration_ms: int | None
    """Milliseconds from acceptance to the end."""

    @classmethod
    def of_row(cls, row: RunRow, **more: Any) -> Self:
        """Return the answer for a row: ``more``, and the fields that a row has under the same name."""
        same = {name: getattr(row, name) for name in cls.model_fields.keys() & row.__dataclass_fields__.keys()}
        times = {name: moment_if_known(value) for name, value in same.items() if name.endswith("_at")}
        return cls.model_validate({"id": row.uid, "key": row.key_id} | same | times | more)

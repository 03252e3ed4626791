"""Models of the answers of the archive's routes, and how they are made of its rows."""

from datetime import datetime
from typing import Any, Literal, Self

from sympozium_api.base import ApiModel
from sympozium_archive.audit_log import AuditedChange
from sympozium_archive.run_rows import RunRow
from sympozium_archive.tables import CONTENT_KEPT, CONTENT_UNREAD
from sympozium_archive.times import moment

_CONTENT_STATES = {CONTENT_UNREAD: "pending", CONTENT_KEPT: "kept"}


class ArchivedRun(ApiModel):
    """A run as the archive has it. Null is what is not known."""

    id: str
    """UID of the AgentRun."""
    namespace: str
    name: str
    instance: str | None
    instance_uid: str | None
    """UID of the instance: one that is created again under the same name has another."""
    source: str | None
    key: str | None
    """Name of the API key that the run was made with."""
    user: str | None
    session: str | None
    model: str | None
    status: str | None
    """Phase of the run. A run that was deleted before it ended is Failed, with the error ``deleted``."""
    error: str | None
    """Type of the error."""
    start: str | None
    """``warm`` or ``cold``."""
    created_at: datetime
    started_at: datetime | None
    first_token_at: datetime | None
    ended_at: datetime | None
    deleted_at: datetime | None
    """Time since which Kubernetes does not have the run any more."""
    input_tokens: int | None
    output_tokens: int | None
    tool_calls: int | None
    waiting_ms: int | None
    """Milliseconds until the run started."""
    first_token_ms: int | None
    """Milliseconds until its first token."""
    duration_ms: int | None
    content_state: Literal["pending", "kept", "none"]
    """``none``: the content was never stored, or is removed: after its retention, or because the run was discarded."""

    @classmethod
    def of_row(cls, row: RunRow, **more: Any) -> Self:
        """Return the answer for a row."""
        return cls.model_validate(
            {
                "id": row.uid,
                "key": row.key_id,
                "status": row.phase,
                "content_state": _CONTENT_STATES.get(row.content_state, "none"),
                "created_at": moment(row.created_at),
                "started_at": _time(row.started_at),
                "first_token_at": _time(row.first_token_at),
                "ended_at": _time(row.ended_at),
                "deleted_at": _time(row.deleted_at),
                **{name: getattr(row, name) for name in _SAME},
                **more,
            }
        )


_SAME = (
    "namespace",
    "name",
    "instance",
    "instance_uid",
    "source",
    "user",
    "session",
    "model",
    "error",
    "start",
    "input_tokens",
    "output_tokens",
    "tool_calls",
    "waiting_ms",
    "first_token_ms",
    "duration_ms",
)
"""Fields that a row has under the same name."""


class ArchivedRunWithContent(ArchivedRun):
    """A run with its question, its answer and its steps."""

    content: dict[str, Any] | None
    """Null unless ``contentState`` is ``kept``."""


class RunHistory(ApiModel):
    """One page of runs, newest first."""

    items: list[ArchivedRun]
    limit: int
    offset: int


class Change(ApiModel):
    """A change, or a call that was refused."""

    id: str
    at: datetime
    """Time just before the change."""
    namespace: str | None
    actor: str | None
    """Name of the caller's key."""
    user: str | None
    surface: str
    action: str
    """``create``, ``update``, ``patch``, ``delete``, or the last part of a path such as ``cancel``; of refused calls also ``get`` and
    ``list``."""
    kind: str
    resource: str | None
    """Name of the object."""
    status: int | None
    """HTTP status of the answer."""
    outcome: Literal["done", "refused", "failed", "unknown"]
    """``refused``: a status from 400 on; ``failed``: one from 500 on; ``unknown``: the console ended, or the caller left, before there
    was an answer, so the change may have been made."""
    ended_at: datetime | None
    trace_id: str | None
    idempotency_key: str | None
    fields: list[str]
    """Names of the fields that the call set, without values."""

    @classmethod
    def of_change(cls, change: AuditedChange) -> Self:
        """Return the answer for a change."""
        entry = change.entry
        return cls(
            id=change.change_id,
            at=moment(change.at),
            namespace=entry.namespace,
            actor=entry.actor,
            user=entry.user,
            surface=entry.surface,
            action=entry.action,
            kind=entry.kind,
            resource=entry.resource,
            status=change.status,
            outcome=_outcome(change.status),
            ended_at=_time(change.ended_at),
            trace_id=entry.trace_id,
            idempotency_key=entry.idempotency_key,
            fields=list(entry.fields),
        )


class Audit(ApiModel):
    """One page of changes, newest first."""

    items: list[Change]
    limit: int
    offset: int


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else moment(microseconds)


def _outcome(status: int | None) -> Literal["done", "refused", "failed", "unknown"]:
    if status is None:
        return "unknown"
    if status < 400:
        return "done"
    return "refused" if status < 500 else "failed"

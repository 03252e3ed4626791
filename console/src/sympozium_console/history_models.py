"""Models of the answers of the archive's routes, and how they are made of its rows."""

from datetime import datetime
from typing import Any, Literal, Self

from sympozium_api.base import ApiModel
from sympozium_archive.audit_log import AuditedChange
from sympozium_archive.run_costs import dollars_text
from sympozium_archive.run_rows import RunRow
from sympozium_archive.tables import CONTENT_KEPT, CONTENT_UNREAD
from sympozium_archive.times import moment, moment_if_known
from sympozium_console.run_record import RunRecord

_CONTENT_STATES = {CONTENT_UNREAD: "pending", CONTENT_KEPT: "kept"}


class ArchivedRun(RunRecord):
    """A run as the archive has it, without its content. Null is what is not known."""

    status: str | None
    """Phase of the run. A run that was deleted before it ended is Failed, with the error ``deleted``."""
    deleted_at: datetime | None
    """Time since which Kubernetes does not have the run any more."""
    cost: str | None
    """US dollars as a decimal number, by the prices at the time of archiving; ``unpriced`` if there was no price; null until then."""
    content_state: Literal["pending", "kept", "none"]
    """``none``: the content was never stored, or is removed: after its retention, or because the run was discarded."""

    @classmethod
    def of_row(cls, row: RunRow, **more: Any) -> Self:
        """Return the answer for a row."""
        content_state = _CONTENT_STATES.get(row.content_state, "none")
        return super().of_row(row, status=row.phase, content_state=content_state, cost=_cost(row), **more)


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
            ended_at=moment_if_known(change.ended_at),
            trace_id=entry.trace_id,
            idempotency_key=entry.idempotency_key,
            fields=list(entry.fields),
        )


class Audit(ApiModel):
    """One page of changes, newest first."""

    items: list[Change]
    limit: int
    offset: int


def _cost(row: RunRow) -> str | None:
    if row.cost is not None:
        return dollars_text(row.cost)
    return None if row.content_state == CONTENT_UNREAD and not row.is_private else "unpriced"


def _outcome(status: int | None) -> Literal["done", "refused", "failed", "unknown"]:
    if status is None:
        return "unknown"
    if status < 400:
        return "done"
    return "refused" if status < 500 else "failed"

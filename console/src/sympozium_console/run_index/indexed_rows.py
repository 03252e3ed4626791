"""Rows of the index, made of the rows in which the API server shows AgentRuns. Pure.

Tenants may write labels, annotations and statuses of their runs: a value that is not what it should be counts as unknown.
"""

from dataclasses import replace
from datetime import UTC
from typing import Any

from sympozium_api import names, run_columns
from sympozium_api.resources import INSTANCES, Object
from sympozium_api.run import ENDED_AT
from sympozium_api.run_status import TERMINAL_PHASES
from sympozium_api.timestamps import parse_timestamp, within_second
from sympozium_api.trace_context import TraceContext
from sympozium_archive.column_types import MAX_TEXT
from sympozium_archive.run_rows import DELETED, RunRow
from sympozium_archive.times import microseconds

_NOT_RECONCILED = "Pending"
"""Phase of a run of which the operator has written nothing yet."""


class UnreadableRow(ValueError):
    """A row without what every object has: UID, namespace, name and time of creation."""


def uid_of(row: Object) -> str | None:
    """Return the UID of a row's object; None if it has none."""
    uid = row.get("metadata", {}).get("uid")
    return uid if isinstance(uid, str) and uid else None


def indexed(row: Object) -> RunRow | None:
    """Return the row of a run; None for the server behind a web endpoint. Raises UnreadableRow."""
    metadata, columns = row["metadata"], row["columns"]
    uid, namespace, name = uid_of(row), metadata.get("namespace"), metadata.get("name")
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    created_at = _accepted_at(metadata.get("creationTimestamp"), annotations)
    if uid is None or not namespace or not name or created_at is None:
        raise UnreadableRow(f"{namespace}/{name}")
    instance = _text(columns.get(run_columns.INSTANCE))
    if _is_server(name, instance, columns):
        return None
    started_at = _moment(columns.get(run_columns.STARTED))
    first_token_at = _moment(columns.get(run_columns.FIRST_TOKEN_AT))
    ended_at = _moment(columns.get(run_columns.EXACT_END)) or _moment(columns.get(ENDED_AT))
    return RunRow(
        uid=uid,
        namespace=namespace,
        name=name,
        created_at=created_at,
        instance=instance,
        instance_uid=_owner(metadata, instance),
        source=_text(labels.get(names.LABEL_SOURCE)),
        key_id=_text(annotations.get(names.ANNOTATION_KEY_ID)),
        user=_text(columns.get(run_columns.USER)),
        session=_text(columns.get(run_columns.SESSION)),
        model=_text(columns.get(run_columns.MODEL)),
        phase=_text(columns.get(run_columns.PHASE)) or _NOT_RECONCILED,
        error=_text(columns.get(run_columns.ERROR)),
        start=_text(columns.get(run_columns.START)),
        started_at=started_at,
        first_token_at=first_token_at,
        ended_at=ended_at,
        input_tokens=_count(columns.get(run_columns.INPUT_TOKENS)),
        output_tokens=_count(columns.get(run_columns.OUTPUT_TOKENS)),
        tool_calls=_count(columns.get(run_columns.TOOL_CALLS)),
        waiting_ms=_milliseconds(created_at, started_at),
        first_token_ms=_milliseconds(created_at, first_token_at),
        duration_ms=_milliseconds(created_at, ended_at),
        resource_version=_text(metadata.get("resourceVersion")),
        is_private=names.ANNOTATION_DISCARDED in annotations,
        agent_id=_text(annotations.get(names.ANNOTATION_AGENT_ID)),
        trace_id=_trace_id(annotations.get(names.ANNOTATION_TRACEPARENT)),
    )


def deleted(row: RunRow, at: int) -> RunRow:
    """Return the row of a run that is gone from Kubernetes since ``at``. One that never ended has failed."""
    if row.phase in TERMINAL_PHASES:
        return replace(row, deleted_at=at)
    duration = _milliseconds(row.created_at, at)
    return replace(row, deleted_at=at, phase="Failed", error=DELETED, ended_at=at, duration_ms=duration)


def _is_server(name: str, instance: str | None, columns: Object) -> bool:
    """Return whether this is an instance's server. The CRD of an older version may lack the column of the mode."""
    mode = columns.get(run_columns.MODE)
    return mode == "server" or (mode is None and instance is not None and name == names.web_endpoint_run(instance))


def _accepted_at(created: Any, annotations: Object) -> int | None:
    if not isinstance(created, str):
        return None
    accepted = annotations.get(names.ANNOTATION_ACCEPTED_AT)
    return _moment(within_second(accepted if isinstance(accepted, str) else "", created))


def _owner(metadata: Object, instance: str | None) -> str | None:
    """Return the UID of the instance for which the run was made, if the run's creator wrote it."""
    owners = (owner for owner in metadata.get("ownerReferences") or () if owner.get("kind") == INSTANCES.kind)
    return next((_text(owner.get("uid")) for owner in owners if owner.get("name") == instance), None)


def _text(value: Any) -> str | None:
    """Return a text, cut as the table cuts it: an annotation may have 256 KiB, and thousands of rows may wait for the database."""
    return value[:MAX_TEXT] if isinstance(value, str) and value else None


def _trace_id(traceparent: Any) -> str | None:
    context = TraceContext.of(traceparent) if isinstance(traceparent, str) else None
    return context.trace_id if context else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _moment(value: Any) -> int | None:
    """Return a time as microseconds; None for what is no time, or lies before 1970 or after the year 9999."""
    try:
        moment = parse_timestamp(value)
        return microseconds((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)) or None
    except (TypeError, ValueError, OverflowError):
        return None


def _milliseconds(since: int, until: int | None) -> int | None:
    """Return the time between two moments; zero where clocks, or a time in whole seconds, would make it negative."""
    return None if until is None else max(0, until - since) // 1000

"""A run with its content, wherever it is stored: the facts that all dialects show of it. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from sympozium_api import names
from sympozium_api.run import AgentRun
from sympozium_api.timestamps import parse_timestamp
from sympozium_api.trace_context import TraceContext
from sympozium_archive.run_rows import RunRow
from sympozium_archive.times import moment, moment_if_known
from sympozium_domain.stored_runs.run_content import Content, content_of

Status = Literal["queued", "running", "succeeded", "failed"]

_STATUSES: dict[str | None, Status] = {
    "Running": "running",
    "Succeeded": "succeeded",
    "Failed": "failed",
    "Cancelled": "failed",
}


@dataclass(frozen=True)
class StoredRun:
    """One run."""

    uid: str
    namespace: str
    name: str
    instance_uid: str | None
    agent_id: str | None
    """Id of the run's agent, which outlives its instance; None of an instance that only has a UID."""
    session: str | None
    """The caller's key for the session."""
    trace_id: str | None
    """32 hexadecimal digits."""
    source: str | None
    phase: str | None
    error: str | None
    """Type of the error."""
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    content: Content | None
    """Question, answer and steps; None: they are not kept any more."""

    @classmethod
    def of_run(cls, run: AgentRun) -> Self:
        """Return a run that was read from Kubernetes, with its texts."""
        metadata, status = run.metadata, run.status
        trace = TraceContext.of_annotations(metadata.annotations)
        usage = status.token_usage
        instance = next((owner for owner in metadata.owner_references if owner.name == run.spec.agent_ref), None)
        return cls(
            uid=metadata.uid,
            namespace=metadata.namespace,
            name=metadata.name,
            instance_uid=instance.uid if instance else None,
            agent_id=metadata.annotations.get(names.ANNOTATION_AGENT_ID),
            session=run.spec.session_key,
            trace_id=trace.trace_id if trace else None,
            source=metadata.labels.get(names.LABEL_SOURCE),
            phase=status.phase,
            error=status.error.type if status.error else None,
            model=status.model,
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
            created_at=parse_timestamp(run.accepted_at),
            started_at=_time(status.started_at),
            ended_at=_time((status.times and status.times.ended_at) or status.completed_at),
            content=content_of(run),
        )

    @classmethod
    def of_row(cls, row: RunRow, content: Content | None) -> Self:
        """Return a run of the archive or the index."""
        same = {name: getattr(row, name) for name in cls.__dataclass_fields__.keys() & row.__dataclass_fields__.keys()}
        times = {
            "created_at": moment(row.created_at),
            "started_at": moment_if_known(row.started_at),
            "ended_at": moment_if_known(row.ended_at),
        }
        return cls(**same | times, content=content)

    @property
    def status(self) -> Status:
        """State of the run in one word. A cancelled run has failed."""
        return _STATUSES.get(self.phase, "queued")

    @property
    def updated_at(self) -> datetime:
        """Time of the last change that is known."""
        return max(self.created_at, self.ended_at or self.started_at or self.created_at)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Messages of the request in OpenAI's form: of earlier turns, then the run's own. Empty: they are not known."""
        request = (self.content or {}).get("request")
        messages = request.get("messages") if isinstance(request, dict) else None
        return [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Calls of the model and of tools that are kept, in the order in which they ended."""
        return (self.content or {}).get("steps") or []


def _time(text: str | None) -> datetime | None:
    """Return a time of a status, which tenants may write; None if it is none."""
    try:
        return parse_timestamp(text) if text else None
    except (ValueError, OverflowError):
        return None

"""The timeline of a run: its moments and calls, as its status has them. Pure."""

from datetime import UTC, datetime

from sympozium_api.base import ApiModel
from sympozium_api.run import AgentRun
from sympozium_api.timestamps import parse_timestamp


class Moment(ApiModel):
    """A moment of a run."""

    name: str
    """``accepted``, ``job``, ``started``, ``firstToken`` or ``ended``."""
    at: datetime
    ms: int
    """Milliseconds since acceptance; of moments in whole seconds (``job``, ``started``) at least 0."""


class TimedCall(ApiModel):
    """A call of the model or of a tool, without its arguments."""

    kind: str
    name: str | None
    """Function of the tool; null of a call of the model."""
    at: datetime | None
    ms: int | None
    """Milliseconds from the run's acceptance to the call."""
    duration_ms: int
    input_tokens: int | None
    output_tokens: int | None
    error: str | None


class Timeline(ApiModel):
    """The moments and calls of a run, by time. What is not known yet is left out."""

    phase: str | None
    start: str | None
    """``warm`` or ``cold``."""
    moments: list[Moment]
    calls: list[TimedCall]

    @classmethod
    def of(cls, run: AgentRun) -> "Timeline":
        """Return the timeline of a run."""
        status = run.status
        times = status.times
        accepted = _moment(run.accepted_at) or _moment(run.metadata.creation_timestamp)
        named = {
            "accepted": accepted,
            "job": _moment(times.job_at) if times else None,
            "started": _moment(status.started_at),
            "firstToken": _moment(times.first_token_at) if times else None,
            "ended": (_moment(times.ended_at) if times else None) or _moment(status.completed_at),
        }
        known = sorted((at, name) for name, at in named.items() if at is not None)
        return cls(
            phase=status.phase,
            start=status.start,
            moments=[Moment(name=name, at=at, ms=_milliseconds(accepted, at) or 0) for at, name in known],
            calls=[
                TimedCall(
                    kind=step.kind,
                    name=step.name,
                    at=(at := _moment(step.started_at)),
                    ms=_milliseconds(accepted, at),
                    duration_ms=step.duration_ms,
                    input_tokens=step.input_tokens,
                    output_tokens=step.output_tokens,
                    error=step.error,
                )
                for step in status.steps or ()
            ],
        )


def _moment(text: str | None) -> datetime | None:
    """Return a time; None for a text that is none, because tenants may write it."""
    try:
        moment = parse_timestamp(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _milliseconds(since: datetime | None, at: datetime | None) -> int | None:
    return None if since is None or at is None else max(0, round((at - since).total_seconds() * 1000))

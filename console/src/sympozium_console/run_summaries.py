"""Models of lists of the newest runs, and how they are made of rows of the index."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Self

from sympozium_api.base import ApiModel
from sympozium_archive.run_queries import RunCount, RunPage
from sympozium_archive.run_rows import RunRow
from sympozium_archive.times import moment


class RunSummary(ApiModel):
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
    phase: str | None
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
    def of_row(cls, row: RunRow) -> Self:
        """Return the summary of a row."""
        times = {
            name: _moment(getattr(row, name)) for name in ("created_at", "started_at", "first_token_at", "ended_at")
        }
        same = {name: getattr(row, name) for name in _SAME}
        return cls.model_validate(same | times | {"id": row.uid, "key": row.key_id})


_SAME = (
    *("namespace", "name", "instance", "instance_uid", "source", "user", "session", "model", "phase", "error", "start"),
    *("input_tokens", "output_tokens", "tool_calls", "waiting_ms", "first_token_ms", "duration_ms"),
)
"""Fields that a row has under the same name."""


class InstanceRuns(ApiModel):
    """Numbers of an instance's runs."""

    namespace: str
    instance: str | None
    runs: int
    phases: dict[str, int]
    """Number of its runs by phase."""


class RunCounts(ApiModel):
    """Numbers of all runs that the parameters select, on whatever page."""

    runs: int
    phases: dict[str, int]
    """Number of runs by phase."""
    instances: list[InstanceRuns]
    """Instances with runs, by namespace and name."""

    @classmethod
    def of(cls, counts: Iterable[RunCount]) -> Self:
        """Return the sums of numbers that are ordered by namespace and instance."""
        instances = [
            InstanceRuns(namespace=namespace, instance=instance, runs=sum(phases.values()), phases=phases)
            for (namespace, instance), group in groupby(counts, key=lambda count: (count.namespace, count.instance))
            for phases in [{count.phase or "": count.runs for count in group}]
        ]
        phases = sum((Counter(instance.phases) for instance in instances), Counter[str]())
        return cls(runs=phases.total(), phases=dict(phases), instances=instances)


class NewestMetadata(ApiModel):
    """Position of a page within its list."""

    before: str | None
    """Value of the parameter ``before`` for the next page; null on the last page."""


class NewestRuns(ApiModel):
    """One page of the runs that Kubernetes has, those that were accepted last first."""

    items: list[RunSummary]
    metadata: NewestMetadata
    counts: RunCounts

    @classmethod
    def of(cls, page: RunPage, counts: Iterable[RunCount]) -> Self:
        """Return the answer for a page."""
        return cls(
            items=[RunSummary.of_row(row) for row in page.rows],
            metadata=NewestMetadata(before=page.before),
            counts=RunCounts.of(counts),
        )


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else moment(microseconds)

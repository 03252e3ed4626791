"""Models of lists of the newest runs, and how they are made of rows of the index."""

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import Self

from sympozium_api.base import ApiModel
from sympozium_archive.run_queries import RunCount, RunPage
from sympozium_console.run_record import RunRecord


class RunSummary(RunRecord):
    """A run that Kubernetes has, without its question and its answer. Null is what is not known."""

    phase: str | None


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

"""Pruner of ended AgentRuns: after their retention, when an instance has too many, or when their caller discarded them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.names import ANNOTATION_DISCARDED, LABEL_INSTANCE
from sympozium_api.reading import read
from sympozium_api.resources import RUNS, Object, created_at
from sympozium_api.run import ENDED, AgentRun
from sympozium_api.timestamps import parse_timestamp
from sympozium_operator.cluster.converge import delete
from sympozium_operator.cluster.object_guard import CountUnreadable, guarded


def surplus(ended: Iterable[Object], *, now: datetime, retention: int, kept: int) -> list[Object]:
    """Return the runs to delete, judged by their metadata alone, oldest first.

    ``retention`` (seconds) counts from creation here: the pruner checks the time of the end before it deletes. ``kept`` is per instance.
    """
    oldest = now - timedelta(seconds=retention)
    groups: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for run in sorted(ended, key=lambda run: str(run["metadata"]["creationTimestamp"])):
        metadata = run["metadata"]
        groups[metadata["namespace"], metadata.get("labels", {}).get(LABEL_INSTANCE, "")].append(run)
    return [
        run
        for group in groups.values()
        for index, run in enumerate(group)
        if len(group) - index > kept or created_at(run) < oldest
    ]


@dataclass(frozen=True, kw_only=True)
class RunPruner:
    """Deletes surplus runs."""

    client: Client
    clock: Clock
    scopes: tuple[str | None, ...]
    retention: int
    kept: int
    count_unreadable: CountUnreadable

    async def prune(self) -> None:
        """Delete surplus runs once. Only metadata is listed, because ended runs may hold gigabytes."""
        ended = [run for scope in self.scopes for run in await self.client.metadata(RUNS, scope, fieldSelector=ENDED)]
        for run in filter(_is_discarded, ended):
            with guarded(self.count_unreadable, RUNS, run["metadata"]):
                await delete(self.client, RUNS, run)
        ended = [run for run in ended if not _is_discarded(run)]
        too_many = {
            run["metadata"]["uid"] for run in surplus(ended, now=self.clock.now(), retention=2**31, kept=self.kept)
        }
        for run in surplus(ended, now=self.clock.now(), retention=self.retention, kept=self.kept):
            metadata = run["metadata"]
            with guarded(self.count_unreadable, RUNS, metadata):
                if metadata["uid"] in too_many or await self._is_over(metadata):
                    await delete(self.client, RUNS, run)

    async def _is_over(self, metadata: Object) -> bool:
        raw = await self.client.find(RUNS, metadata["namespace"], metadata["name"])
        if raw is None:
            return False
        run = read(AgentRun, raw)
        ended = parse_timestamp(run.status.completed_at or run.metadata.creation_timestamp)
        return run.ended and self.clock.now() - ended >= timedelta(seconds=self.retention)


def _is_discarded(run: Object) -> bool:
    return ANNOTATION_DISCARDED in run["metadata"].get("annotations", {})

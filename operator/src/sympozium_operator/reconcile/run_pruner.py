"""Pruner of ended AgentRuns: after their retention, when an API key has too many, or when their caller discarded them.

Where the console archives runs, it prunes them, because only the console knows what is archived. The operator then keeps the bounds
of the cluster's storage, and counts and reports what it deletes.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from sympozium_api.base import Metadata, Resource
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.names import (
    LABEL_INSTANCE,
    LABEL_STORAGE,
    STORAGE_FULL,
    web_endpoint_run,
)
from sympozium_api.resources import INSTANCES, RUN_PARTS, RUNS, Object, ResourceType
from sympozium_api.retention import (
    Candidates,
    Retention,
    beyond_bound,
    beyond_bytes,
    beyond_ceiling,
    bytes_of,
    end_or_creation,
    followed_attempts,
    groups,
    is_discarded,
    leads_to_open_run,
    stored_bytes,
    with_texts,
)
from sympozium_api.run_selection import ENDED, NOT_ENDED
from sympozium_operator.cluster.converge import delete
from sympozium_operator.cluster.event_recorder import EventRecorder
from sympozium_operator.cluster.object_guard import CountUnreadable, guarded
from sympozium_operator.cluster.scoped_lists import ScopedLists
from sympozium_operator.operator_metrics import OperatorMetrics
from sympozium_operator.policy.event_messages import deleted_unarchived, stored_bytes_exceeded

READS_PER_KEY = 2000
"""Most runs of one API key that one pruning reads, so that the runs of other instances are soon pruned too."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class RunPruner:
    """Deletes surplus runs."""

    client: Client
    clock: Clock
    metrics: OperatorMetrics
    lists: ScopedLists
    events: EventRecorder
    retention: Retention
    has_archive: bool
    count_unreadable: CountUnreadable

    async def prune(self) -> None:
        """Delete surplus runs once. Only metadata and columns are listed, because ended runs may hold gigabytes."""
        followed = followed_attempts(await self.lists.metadata(RUNS, fieldSelector=NOT_ENDED))
        rows = await self.lists.rows(RUNS, fieldSelector=ENDED)
        gone = await self._bound_texts(rows)
        ended = [run for run in rows if run["metadata"]["uid"] not in gone and not leads_to_open_run(run, followed)]
        if self.has_archive:
            await self._keep_ceilings(ended)
            return
        for run in filter(is_discarded, ended):
            await self._delete(run)
        for instance, by_key in groups(run for run in ended if not is_discarded(run)).items():
            kept = dict(by_key)
            for key, runs in by_key.items():
                with guarded(self.count_unreadable, RUNS, {"namespace": instance[0]}):
                    kept[key] = await self._prune_key(runs)
            with guarded(self.count_unreadable, RUNS, {"namespace": instance[0]}):
                await self._bound(instance, kept)

    async def bound_bytes(self) -> None:
        """Delete the oldest ended runs of each namespace whose AgentRunParts take more bytes than a namespace may store.

        ``prune``, which lists ended runs anyway, counts the texts within them too. Where open runs take as many bytes, the namespace's
        server runs are marked, and their web-proxies refuse what needs parts.
        """
        marked = await self.lists.metadata(RUNS, labelSelector=f"{LABEL_STORAGE}={STORAGE_FULL}")
        bounded = set[str]()
        for namespace, of_run in stored_bytes(await self.lists.metadata(RUN_PARTS)).items():
            if sum(of_run.values()) > self.retention.stored_bytes:
                bounded.add(namespace)
                with guarded(self.count_unreadable, RUNS, {"namespace": namespace}):
                    await self._bound_bytes(namespace, of_run)
        for run in marked:
            if run["metadata"]["namespace"] not in bounded:
                await self._mark(run, is_full=False)

    async def _bound_texts(self, ended: list[Object]) -> set[str]:
        """Delete the oldest of these runs of each namespace whose texts and parts take too many bytes; return their UIDs."""
        parts, of_namespace = stored_bytes(await self.lists.metadata(RUN_PARTS)), defaultdict[str, list[Object]](list)
        for run in ended:
            of_namespace[run["metadata"]["namespace"]].append(run)
        gone = set[str]()
        for namespace, rows in of_namespace.items():
            of_run = with_texts(parts.get(namespace, {}), rows)
            if sum(of_run.values()) > self.retention.stored_bytes:
                with guarded(self.count_unreadable, RUNS, {"namespace": namespace}):
                    gone |= await self._bound_bytes(namespace, of_run)
        return gone

    async def _bound_bytes(self, namespace: str, of_parts: Mapping[str, int]) -> set[str]:
        """Delete the oldest ended runs of a namespace, so that the others take as many bytes as it may store; return their UIDs."""
        ended = await self.client.rows(RUNS, namespace, fieldSelector=ENDED)
        open_runs = await self.client.metadata(RUNS, namespace, fieldSelector=NOT_ENDED)
        followed = followed_attempts(open_runs)
        of_run = with_texts(of_parts, ended)
        may_go = [run for run in ended if not leads_to_open_run(run, followed)]
        surplus = beyond_bytes(of_run, may_go, open_runs, self.retention.stored_bytes)
        for run in surplus:
            await self._delete(run)
        is_full = bytes_of(of_run, (*ended, *open_runs)) - bytes_of(of_run, may_go) >= self.retention.stored_bytes
        for run in filter(_is_server_run, open_runs):
            await self._mark(run, is_full=is_full)
        if surplus:
            self.metrics.pruned_for_bytes.inc(len(surplus))
            self.metrics.deleted_unarchived.inc(len(surplus) if self.has_archive else 0)
            log.warning(
                "runs deleted, because their namespace stores too many bytes", namespace=namespace, runs=len(surplus)
            )
            message = stored_bytes_exceeded(len(surplus), self.retention.stored_bytes, has_archive=self.has_archive)
            await self.events.emit(_subject(RUNS, surplus[-1]), message)
        return {run["metadata"]["uid"] for run in surplus}

    async def _mark(self, run: Object, *, is_full: bool) -> None:
        """Write on a server run whether its namespace has room for further parts, if that has changed."""
        metadata = run["metadata"]
        if (LABEL_STORAGE in (metadata.get("labels") or {})) != is_full:
            with guarded(self.count_unreadable, RUNS, metadata):
                label = {"labels": {LABEL_STORAGE: STORAGE_FULL if is_full else None}}
                patch = {"metadata": label}
                await self.client.patch(RUNS, metadata["namespace"], metadata["name"], patch, metadata_only=True)

    async def _prune_key(self, runs: list[Object]) -> list[Object]:
        """Delete the surplus runs of one API key; return the others."""
        candidates, gone, reads = Candidates(runs, self.retention, self.clock.now()), set[str](), 0
        while found := candidates.next():
            run, is_to_go = found
            metadata = run["metadata"]
            if is_to_go:
                await self._delete(run)
                gone.add(metadata["uid"])
                continue
            if reads == READS_PER_KEY:
                continue  # the run stays until the next pruning
            reads += 1
            with guarded(self.count_unreadable, RUNS, metadata):
                if live := await self.client.find(RUNS, metadata["namespace"], metadata["name"]):
                    candidates.ended_at(run, _end(live))
                else:
                    gone.add(metadata["uid"])
        return [run for run in runs if run["metadata"]["uid"] not in gone]

    async def _bound(self, instance: tuple[str, str], by_key: dict[str, list[Object]]) -> None:
        """Delete the runs of an instance beyond the hard bound, so that it cannot fill the cluster's storage."""
        early = list(beyond_bound(by_key, self.retention.at_most))
        for run in early:
            await self._delete(run)
        if early:
            self.metrics.pruned_early.inc(len(early))
            namespace, name = instance
            log.warning("runs deleted before their retention", namespace=namespace, instance=name, runs=len(early))

    async def _keep_ceilings(self, ended: list[Object]) -> None:
        """Delete the oldest of these runs of each instance that has more than its ceiling, because nothing archives and prunes them."""
        for (namespace, name), by_key in groups(ended).items():
            with guarded(self.count_unreadable, RUNS, {"namespace": namespace}):
                surplus = beyond_ceiling([run for runs in by_key.values() for run in runs], self.retention.ceiling)
                for run in surplus:
                    await self._delete(run)
                if surplus:
                    await self._report_unarchived(namespace, name, len(surplus))

    async def _report_unarchived(self, namespace: str, name: str, runs: int) -> None:
        self.metrics.deleted_unarchived.inc(runs)
        log.warning("runs deleted that may not be archived", namespace=namespace, instance=name, runs=runs)
        if instance := await self.client.find_metadata(INSTANCES, namespace, name):
            await self.events.emit(_subject(INSTANCES, instance), deleted_unarchived(runs, self.retention.ceiling))

    async def _delete(self, run: Object) -> None:
        with guarded(self.count_unreadable, RUNS, run["metadata"]):
            await delete(self.client, RUNS, run)


def _end(run: Object) -> datetime:
    """Return the time of a run's end; a status without a valid one counts from the run's creation."""
    return end_or_creation(run, (run.get("status") or {}).get("completedAt"))


def _subject(kind: ResourceType, body: Object) -> Resource:
    """Return an object as the subject of an Event."""
    return Resource(api_version=kind.api_version, kind=kind.kind, metadata=Metadata.model_validate(body["metadata"]))


def _is_server_run(run: Object) -> bool:
    instance = (run["metadata"].get("labels") or {}).get(LABEL_INSTANCE, "")
    return bool(run["metadata"]["name"] == web_endpoint_run(instance))

"""Pruner of archived runs: an ended run is deleted once it is committed, by the rule that the operator has without an archive."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog

from sympozium_api.client import ApiError, Client
from sympozium_api.resources import RUNS, Object
from sympozium_api.retention import Retention, beyond_bytes, followed_attempts, leads_to_open_run, surplus, with_texts
from sympozium_console.archiver.concurrently import all_of
from sympozium_console.archiver.kept_runs import KeptRuns
from sympozium_console.archiver.run_archive import RunArchive, chunks
from sympozium_console.archiver.witnessed_clock import WitnessedClock

_AT_ONCE = 500
"""Runs whose rows are asked for at a time."""
_DELETERS = 8
"""Deletions at a time."""

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ArchivePruner:
    """Deletes surplus runs that the archive has."""

    client: Client
    runs: KeptRuns
    archive: RunArchive
    retention: Retention
    clock: WitnessedClock

    async def prune(self) -> None:
        """Archive and delete surplus runs once. Raises ApiError, ApiUnavailable, and DatabaseUnavailable: then nothing is deleted."""
        open_runs = await self.runs.open()
        followed = followed_attempts(open_runs)
        ended = await self.runs.ended()
        gone = surplus(ended, followed, self.retention, await self.clock.now())
        uids = {run["metadata"]["uid"] for run in gone}
        left = [run for run in ended if run["metadata"]["uid"] not in uids and not leads_to_open_run(run, followed)]
        gone += await self._beyond_bytes(left, open_runs)
        for rows in chunks(gone, _AT_ONCE):
            await self._archive_and_delete(rows)

    async def _beyond_bytes(self, ended: list[Object], open_runs: list[Object]) -> list[Object]:
        """Return the runs that go so that no namespace's runs take more bytes than its bound."""
        parts = await self.runs.bytes_of_parts()
        ended_of, open_of = _by_namespace(ended), _by_namespace(open_runs)
        gone = list[Object]()
        for namespace, rows in ended_of.items():
            of_run = with_texts(parts.get(namespace, {}), rows)
            gone += beyond_bytes(of_run, rows, open_of[namespace], self.retention.stored_bytes)
        return gone

    async def _archive_and_delete(self, rows: list[Object]) -> None:
        """Archive the runs whose versions are not committed, then delete what is committed."""
        incomplete = await self.archive.incomplete(rows)
        stored = await self.archive.store_all(incomplete)
        unstored = {run.uid for run in incomplete} - stored.keys()
        for some in chunks([row for row in rows if row["metadata"]["uid"] not in unstored], _DELETERS):
            await all_of(self._delete(row, stored) for row in some)

    async def _delete(self, row: Object, stored: Mapping[str, str | None]) -> None:
        """Delete a run in the version that is committed. One that has changed since stays until it is read again the next time."""
        metadata = row["metadata"]
        namespace, name, uid = metadata["namespace"], metadata["name"], metadata["uid"]
        version = stored.get(uid, metadata["resourceVersion"])
        if version is None:
            return  # the run is gone
        try:
            await self.client.delete(RUNS, namespace, name, uid=uid, version=version)
        except ApiError as error:
            if error.status != 409:
                log.warning("run not pruned", namespace=namespace, run=name, reason=error.reason)


def _by_namespace(runs: Iterable[Object]) -> dict[str, list[Object]]:
    namespaces = defaultdict[str, list[Object]](list)
    for run in runs:
        namespaces[run["metadata"]["namespace"]].append(run)
    return namespaces

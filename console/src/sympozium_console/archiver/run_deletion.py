"""Deletion of a run that a caller asked for: the run is archived first, one that is going on as cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sympozium_api.client import ApiError, Client
from sympozium_api.resources import RUNS, Object
from sympozium_api.run_status import TERMINAL_PHASES
from sympozium_console.archiver.run_archive import KnownRun, RunArchive
from sympozium_console.archiver.run_cancellation import cancel_run

_END_SECONDS = 5.0
"""Seconds for which a deletion waits for the end of the run that it cancelled: the operator takes one or two."""
_POLL_SECONDS = 0.25
_ATTEMPTS = 5
"""Deletions of a run that changes each time between its commit and its deletion."""


@dataclass(frozen=True, kw_only=True)
class RunDeletion:
    """Deletes runs. Methods raise ApiError, ApiUnavailable and DatabaseUnavailable; the run is there still, and may be cancelled."""

    client: Client
    archive: RunArchive
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def delete(self, namespace: str, name: str) -> None:
        """Cancel a run that is going on, archive the run and delete it. Raises ApiError 404 if there is none."""
        run = await self.client.get(RUNS, namespace, name)
        if run["spec"].get("mode") == "server":
            await self.client.delete(RUNS, namespace, name, uid=run["metadata"]["uid"])
            return
        if not _has_ended(run):
            await self._cancel(run)
        await self._archive_and_delete(KnownRun.of(run))

    async def _cancel(self, run: Object) -> None:
        """Cancel a run, and wait for its end. From here on ``cancelled`` is true of the run, whatever happens to this process."""
        metadata = run["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        await cancel_run(self.client, run)
        for _ in range(int(_END_SECONDS / _POLL_SECONDS)):
            live = await self.client.find(RUNS, namespace, name)
            if live is None or live["metadata"]["uid"] != metadata["uid"] or _has_ended(live):
                return
            await self.sleep(_POLL_SECONDS)

    async def _archive_and_delete(self, run: KnownRun) -> None:
        for attempt in range(_ATTEMPTS):
            version = await self.archive.store(run, as_cancelled=True)
            if version is None:
                return
            try:
                await self.client.delete(RUNS, run.namespace, run.name, uid=run.uid, version=version)
            except ApiError as error:
                if error.status != 409 or attempt == _ATTEMPTS - 1:
                    raise
            else:
                return


def _has_ended(run: Object) -> bool:
    return (run.get("status") or {}).get("phase") in TERMINAL_PHASES

"""Watch an instance's runs, so that one that ends elsewhere, or before its pod speaks, reaches its caller as well."""

import asyncio
from typing import Protocol

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable, Client, Snapshot, watch
from sympozium_api.resources import RUNS
from sympozium_api.run import NOT_ENDED, AgentRun
from sympozium_runs.broker import Key, RunBroker
from sympozium_runs.run_queue import RunQueue
from sympozium_runs.run_store import RunStore
from sympozium_runs.runs import Runs

_AGAIN_SECONDS = 0.5


class Newcomer(Protocol):
    """Who is told of each run when it is seen for the first time."""

    def __call__(self, run: AgentRun, /, *, began_before: bool) -> None:
        """``began_before``: it stood in the first list, so it was made before the watch began. These come oldest first."""


def _ignored(_: AgentRun, /, *, began_before: bool) -> None:
    pass


class RunWatch:
    """Follows the AgentRuns of one instance that have not ended, and keeps their queue.

    Ended runs are not watched: they are many, and each may hold a megabyte. A run that ends leaves the selection; only if
    somebody still waits for it is it read once more.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        instance: str,
        *,
        store: RunStore,
        board: RunBroker,
        runs: Runs,
        queue: RunQueue,
        newcomer: Newcomer = _ignored,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._selectors = {"fieldSelector": f"spec.agentRef={instance},{NOT_ENDED}"}
        self._store = store
        self._board = board
        self._runs = runs
        self._newcomer = newcomer
        self._queue = queue
        self.synced = False

    async def run(self) -> None:
        """Watch without end."""
        async for event in watch(self._client, RUNS, self._namespace, **self._selectors):
            if isinstance(event, Snapshot):
                await self._relisted([AgentRun.model_validate(item) for item in event.items])
            elif event.deleted:
                await self._left(event.object["metadata"]["name"])
            else:
                self._seen(AgentRun.model_validate(event.object))

    async def _relisted(self, found: list[AgentRun]) -> None:
        """After a gap: what is not in the list may have ended or gone meanwhile, or may only just be being created."""
        listed = {run.key for run in found}
        gone = {(self._namespace, name) for name in self._queue} - listed
        for _, name in gone:
            await self._left(name)
        for key in set(self._board.followed()) - listed - gone:
            await self._look(key, was_seen=False)
        for run in sorted(found, key=lambda run: run.metadata.creation_timestamp):
            self._seen(run)
        self.synced = True

    def _seen(self, run: AgentRun) -> None:
        if run.spec.mode == "task":
            if run.metadata.name not in self._queue:
                self._queue.add(run.metadata.name, run.metadata.annotations.get(names.ANNOTATION_KEY_ID, ""))
                self._newcomer(run, began_before=not self.synced)
                self._runs.observe_new(run)
            self._runs.observe(run)

    async def _left(self, name: str) -> None:
        """A run has ended, or was deleted."""
        self._queue.remove(name)
        self._runs.observe_closed((self._namespace, name))
        if (self._namespace, name) in self._board:
            await self._look((self._namespace, name), was_seen=True)

    async def _look(self, key: Key, *, was_seen: bool) -> None:
        """Read a run that somebody waits for, however long the API server is away."""
        while True:
            try:
                self._runs.observe(await self._store.get(*key))
            except ApiUnavailable:
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            except ApiError as error:
                if not error.not_found:
                    raise
                if was_seen:
                    self._runs.observe_deleted(key)
            return

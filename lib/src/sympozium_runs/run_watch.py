"""Watch of an instance's runs, so that a run that ends elsewhere, or before its pod's first record, still reaches its caller."""

import asyncio
from typing import Protocol

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable, Client, Snapshot, watch
from sympozium_api.resources import RUNS
from sympozium_api.run import NOT_ENDED, AgentRun, without_contents
from sympozium_runs.broker import Key, RunBroker
from sympozium_runs.run_queue import RunQueue
from sympozium_runs.run_store import RunStore
from sympozium_runs.runs import Runs

_RETRY_SECONDS = 0.5


class NewRunCallback(Protocol):
    """Callback for each run when it is seen for the first time."""

    def __call__(self, run: AgentRun, /, *, began_before: bool) -> None:
        """Take a run; ``began_before``: it was created before the watch began. Such runs come first, the oldest at the head."""


def _ignore(_: AgentRun, /, *, began_before: bool) -> None:
    pass


class RunWatch:
    """Follows the open AgentRuns of one instance without their contents, and keeps their queue.

    Ended runs are not watched, because they are many and each may hold a megabyte. A run that ends leaves the selection, and
    is read once more only if somebody still waits for it.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        instance: str,
        *,
        store: RunStore,
        broker: RunBroker,
        runs: Runs,
        queue: RunQueue,
        on_new_run: NewRunCallback = _ignore,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._selectors = {"fieldSelector": f"spec.agentRef={instance},{NOT_ENDED}"}
        self._store = store
        self._broker = broker
        self._runs = runs
        self._on_new_run = on_new_run
        self._queue = queue
        self.synced = False

    async def run(self) -> None:
        """Watch until cancelled."""
        async for event in watch(self._client, RUNS, self._namespace, without_contents, **self._selectors):
            if isinstance(event, Snapshot):
                await self._on_snapshot([AgentRun.model_validate(item) for item in event.items])
            elif event.deleted:
                await self._on_closed(event.object["metadata"]["name"])
            else:
                self._on_open(AgentRun.model_validate(event.object))

    async def _on_snapshot(self, runs: list[AgentRun]) -> None:
        """Catch up after a gap: a run that is not listed may have ended or been deleted, or its creation may still be under way."""
        listed = {run.key for run in runs}
        closed = {(self._namespace, name) for name in self._queue} - listed
        for _, name in closed:
            await self._on_closed(name)
        for key in set(self._broker.subscribed()) - listed - closed:
            await self._read(key, was_seen=False)
        for run in sorted(runs, key=lambda run: run.metadata.creation_timestamp):
            self._on_open(run)
        self.synced = True

    def _on_open(self, run: AgentRun) -> None:
        if run.spec.mode == "task":
            if run.metadata.name not in self._queue:
                self._queue.add(run.metadata.name, run.metadata.annotations.get(names.ANNOTATION_KEY_ID, ""))
                self._on_new_run(run, began_before=not self.synced)
                self._runs.on_created(run)
            self._runs.on_change(run)

    async def _on_closed(self, name: str) -> None:
        """Take a run that has ended or was deleted out of the queue."""
        key = (self._namespace, name)
        self._queue.remove(name)
        self._runs.on_closed(key)
        if key in self._broker:
            await self._read(key, was_seen=True)

    async def _read(self, key: Key, *, was_seen: bool) -> None:
        """Read a run that somebody waits for, however long the API server is unreachable."""
        while True:
            try:
                self._runs.on_change(await self._store.get(*key))
            except ApiUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except ApiError as error:
                if not error.not_found:
                    raise
                if was_seen:
                    self._runs.on_deleted(key)
            return

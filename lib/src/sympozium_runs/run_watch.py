"""Watch of runs, so that a run that ends elsewhere, or before its pod's first record, still reaches its caller."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog
from pydantic import ValidationError

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable, Change, Client, Snapshot, watch
from sympozium_api.resources import RUNS, Object
from sympozium_api.run import AgentRun, without_contents
from sympozium_api.run_selection import NOT_ENDED
from sympozium_http.background_loop import FAILING_SECONDS
from sympozium_runs.broker import Key, RunBroker
from sympozium_runs.run_queue import RunQueues
from sympozium_runs.run_store import RunStore
from sympozium_runs.runs import Runs
from sympozium_runs.unreadable_objects import UnreadableObjects

log = structlog.get_logger()

_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 10.0
_READS_AT_ONCE = 8
"""Runs that are read at the same time: each may hold a megabyte, and after a gap many may have ended."""


class NewRunCallback(Protocol):
    """Callback for each run when it is seen for the first time."""

    def __call__(self, run: AgentRun, /, *, began_before: bool) -> None:
        """Take a run; ``began_before``: it was created before the watch began. Such runs come first, the oldest at the head."""


def _ignore(_: AgentRun, /, *, began_before: bool) -> None:
    pass


class RunWatch:
    """Follows the open AgentRuns of a scope without their contents, and keeps the queues of their instances.

    Ended runs are not watched, because they are many and each may hold a megabyte. A run that ends leaves the selection, and
    is read once more only if somebody still waits for it.
    """

    def __init__(
        self,
        client: Client,
        namespace: str | None,
        instance: str | None,
        *,
        store: RunStore,
        broker: RunBroker,
        runs: Runs,
        queues: RunQueues,
        unreadable: UnreadableObjects,
        on_event: Callable[[], object] = lambda: None,
        on_new_run: NewRunCallback = _ignore,
        on_server_run: Callable[[AgentRun], object] = lambda _: None,
    ) -> None:
        """The scope is an ``instance``; None: all instances of the ``namespace``; None for both: all of the cluster.

        Watches of several namespaces may share the ``queues``.

        ``on_event`` is called for each event of the watch, ``on_server_run`` for each state of an instance's server run.
        """
        self._client = client
        self._namespace = namespace
        self._selectors = {"fieldSelector": NOT_ENDED if instance is None else f"spec.agentRef={instance},{NOT_ENDED}"}
        self._store = store
        self._broker = broker
        self._runs = runs
        self._on_event = on_event
        self._on_new_run = on_new_run
        self._on_server_run = on_server_run
        self._queues = queues
        self._unreadable = unreadable
        self._reads: dict[Key, asyncio.Task[None]] = {}
        self._read_slots = asyncio.Semaphore(_READS_AT_ONCE)
        self.synced = False

    async def run(self) -> None:
        """Watch until cancelled. Raises the failure of a watch that stays refused."""
        try:
            async for event in watch(
                self._client, RUNS, self._namespace, without_contents, FAILING_SECONDS, **self._selectors
            ):
                self._on_event()
                if isinstance(event, Snapshot):
                    self._on_snapshot(event.items)
                else:
                    with self._unreadable.skipping(RUNS.kind, event.object):
                        self._on_change(event)
        finally:
            for read in self._reads.values():
                read.cancel()

    def _on_change(self, event: Change) -> None:
        if event.deleted:
            self._on_closed(_key(event.object))
        else:
            self._on_open(AgentRun.model_validate(event.object))

    def _on_snapshot(self, items: list[Object]) -> None:
        """Catch up after a gap: a run that is not listed may have ended or been deleted, or its creation may still be under way."""
        listed = set(map(_key, items))
        closed = self._of_scope(self._queues) - listed
        for key in closed:
            self._on_closed(key)
        for key in self._of_scope(self._broker.subscribed()) - listed - closed:
            self._read_soon(key, was_seen=False)
        for item in sorted(items, key=lambda item: str(item["metadata"]["creationTimestamp"])):
            with self._unreadable.skipping(RUNS.kind, item):
                self._on_open(AgentRun.model_validate(item))
        self.synced = True

    def _of_scope(self, runs: Iterable[Key]) -> set[Key]:
        return {key for key in runs if self._namespace in (None, key[0])}

    def _on_open(self, run: AgentRun) -> None:
        if run.spec.mode == "server":
            if run.metadata.name == names.web_endpoint_run(run.spec.agent_ref):  # anybody could make another one
                self._on_server_run(run)
        else:
            if run.key not in self._queues:
                self._queues.add(run.key, run.instance_key, run.metadata.annotations.get(names.ANNOTATION_KEY_ID, ""))
                self._on_new_run(run, began_before=not self.synced)
                self._runs.on_created(run)
            self._runs.on_change(run)

    def _on_closed(self, key: Key) -> None:
        """Take a run that has ended or was deleted out of its queue."""
        self._queues.remove(key)
        self._runs.on_closed(key)
        if key in self._broker and not self._broker.is_ending(key):
            self._read_soon(key, was_seen=True)

    def _read_soon(self, key: Key, *, was_seen: bool) -> None:
        """Read a run that somebody waits for, while the watch continues. ``was_seen``: a run that is not found was deleted."""
        if (previous := self._reads.get(key)) is not None:
            previous.cancel()
        reading = self._reads[key] = asyncio.create_task(self._read(key, was_seen=was_seen))
        reading.add_done_callback(lambda _: self._reads.pop(key) if self._reads.get(key) is reading else None)

    async def _read(self, key: Key, *, was_seen: bool) -> None:
        """Read a run, again with backoff while the API server is unreachable or refuses, as long as somebody waits for the run."""
        backoff = _FIRST_BACKOFF
        while key in self._broker:
            try:
                async with self._read_slots:
                    run = await self._store.with_answer(await self._store.head(*key))
            except ApiUnavailable:
                pass
            except ApiError as error:
                if error.not_found:
                    if was_seen:
                        self._runs.on_deleted(key)
                    return
                log.warning("run not read, trying again", run=key[1], status=error.status, reason=error.reason)
            except ValidationError:
                self._runs.on_unreadable(key)
                return
            else:
                await self._runs.on_read(run)
                return
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)


def _key(item: Object) -> Key:
    return item["metadata"]["namespace"], item["metadata"]["name"]

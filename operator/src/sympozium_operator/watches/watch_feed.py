"""Feed of the work queue from a watch that misses nothing: after a gap it adds what was changed or deleted meanwhile."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from sympozium_api.client import ApiError, ApiUnavailable, Change, Client, Snapshot, watch
from sympozium_api.resources import Object, ResourceType
from sympozium_operator.result import Key

Find = Callable[[str, str], Key | None]
"""Function that returns the key to reconcile for an object, from its namespace and its name, which nobody can edit; None: nothing."""
RETRY = 5.0
LONGEST_RETRY = 60.0
"""Seconds until a watch that failed is opened again, twice as many after each failure: its namespace may be gone for good."""
FAILING = 30.0
"""Seconds for which a watch may fail, although the API server answers, before that is counted."""

log = structlog.get_logger()


class KeyQueue(Protocol):
    """Part of the work queue that watches need."""

    def add(self, *keys: Key) -> None:
        """Add keys to reconcile now."""

    def add_spread(self, keys: Sequence[Key]) -> None:
        """Add keys to reconcile one after the other, because there may be thousands."""


@dataclass(frozen=True)
class WatchFeed:
    """Watches that add the keys of changed objects to a queue. Of an object they keep name and version only."""

    client: Client
    queue: KeyQueue
    count_failure: Callable[[str], None]
    """Counter of watches that keep failing, by the kind that they watch."""

    async def follow(self, kind: ResourceType, namespace: str | None, find: Find, **selectors: str) -> None:
        """Add the keys of all changes without end. A kind that is not installed is tried again every few seconds."""
        known, delay, loop = dict[tuple[str, str], str](), RETRY, asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._follow(kind, namespace, find, known, selectors)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the watch is needed
                if loop.time() - began > 2 * FAILING:
                    delay = RETRY  # the watch has served before it failed
                self._report(kind, namespace, failure)
                wait, delay = delay, min(2 * delay, LONGEST_RETRY)
                if isinstance(failure, ApiError) and failure.not_found:
                    wait = delay = RETRY  # the kind may be installed at any time
            await asyncio.sleep(wait)

    def _report(self, kind: ResourceType, namespace: str | None, failure: Exception) -> None:
        """Count and log a failure, unless the kind is not installed: in one line if it is the API server's word."""
        if isinstance(failure, ApiError) and failure.not_found:
            return
        self.count_failure(kind.kind)
        scope = {"kind": kind.kind, "namespace": namespace}
        if isinstance(failure, ApiError | ApiUnavailable):
            log.warning("watch failed, retrying", **scope, error=str(failure)[:500])
        else:
            log.error("watch failed, retrying", **scope, exc_info=failure)

    async def _follow(
        self,
        kind: ResourceType,
        namespace: str | None,
        find: Find,
        known: dict[tuple[str, str], str],
        selectors: dict[str, str],
    ) -> None:
        """Add the keys of changes until the watch fails; ``known`` are the versions that were seen, which this function updates."""
        async for event in watch(self.client, kind, namespace, _head, FAILING, **selectors):
            if isinstance(event, Change):
                address = _address(event.object)
                if event.deleted:
                    known.pop(address, None)
                else:
                    known[address] = _version(event.object)
                if key := find(*address):
                    self.queue.add(key)
            else:
                changed = _replace(known, event)
                keys = dict.fromkeys(find(*address) for address in changed)
                self.queue.add_spread([key for key in keys if key])


def _replace(known: dict[tuple[str, str], str], snapshot: Snapshot) -> list[tuple[str, str]]:
    """Replace the versions that were seen by those of a whole collection; return what differs."""
    current = {_address(item): _version(item) for item in snapshot.items}
    changed = [address for address in {**known, **current} if known.get(address) != current.get(address)]
    known.clear()
    known.update(current)
    return changed


def _head(body: Object) -> Object:
    """Return the part of an object that the feed keeps of it."""
    metadata = body["metadata"]
    return {"metadata": {name: metadata[name] for name in ("namespace", "name", "resourceVersion")}}


def _address(body: Object) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _version(body: Object) -> str:
    version: str = body["metadata"]["resourceVersion"]
    return version

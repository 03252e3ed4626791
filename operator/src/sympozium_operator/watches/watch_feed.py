"""Feed of the work queue from a watch that misses nothing: after a gap it adds what was changed or deleted meanwhile."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import structlog

from sympozium_api.client import ApiError, ApiUnavailable, Change, Client, Snapshot, watch
from sympozium_api.resources import Object, ResourceType
from sympozium_operator.result import Key

Find = Callable[[str, str], Key | None]
"""Function that returns the key to reconcile for an object, from its namespace and its name, which nobody can edit; None: nothing."""
KeysOf = Callable[[Object], Sequence[Key]]
"""Function that returns the keys to reconcile for an object."""
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


class _Seen(NamedTuple):
    """The state of an object that was seen last."""

    version: str
    keys: Sequence[Key]


_Known = dict[tuple[str, str], _Seen]
"""Objects that exist, by namespace and name."""


def by_name(find: Find) -> KeysOf:
    """Return the function for objects whose name says what to reconcile."""

    def keys_of(body: Object) -> Sequence[Key]:
        key = find(*_address(body))
        return (key,) if key else ()

    return keys_of


def _any_key(_: Key) -> bool:
    return True


def _always(_: Object) -> bool:
    return True


@dataclass(frozen=True)
class WatchFeed:
    """Watches that add the keys of changed objects to a queue. Of an object they keep name, version and keys only."""

    client: Client
    queue: KeyQueue
    count_failure: Callable[[str], None]
    """Counter of watches that keep failing, by the kind that they watch."""
    take: Callable[[Key], bool] = _any_key
    """True for a key that this process reconciles; of objects without such a key nothing is kept."""

    async def follow(
        self,
        kind: ResourceType,
        namespace: str | None,
        keys_of: KeysOf,
        matters: Callable[[Object], bool] = _always,
        /,
        *,
        at_once: bool = False,
        **selectors: str,
    ) -> None:
        """Add the keys of all changes without end. A kind that is not installed is tried again every few seconds.

        A change to an object that does not ``matter`` then adds nothing, a deletion always does. ``at_once``: after a gap the keys
        are not spread over time, because callers wait for them.
        """
        known, delay, loop = _Known(), RETRY, asyncio.get_running_loop()
        add = self._add_now if at_once else self.queue.add_spread

        def view(body: Object) -> Object:
            """Return the part of an object that the feed needs."""
            metadata = {name: body["metadata"].get(name, "") for name in ("namespace", "name", "resourceVersion")}
            keys = keys_of(body)
            is_foreign = bool(keys) and not any(map(self.take, keys))
            return {"metadata": metadata, "keys": keys, "matters": matters(body), "is_foreign": is_foreign}

        while True:
            began = loop.time()
            try:
                async for event in watch(self.client, kind, namespace, view, FAILING, **selectors):
                    if isinstance(event, Change):
                        self.queue.add(*_change(known, event))
                    else:
                        add(_replace(known, event))
            except Exception as failure:  # noqa: BLE001 - whatever it is, the watch is needed
                if loop.time() - began > 2 * FAILING:
                    delay = RETRY  # the watch has served before it failed
                self._report(kind, namespace, failure)
                wait, delay = delay, min(2 * delay, LONGEST_RETRY)
                if isinstance(failure, ApiError) and failure.not_found:
                    wait = delay = RETRY  # the kind may be installed at any time
            await asyncio.sleep(wait)

    def _add_now(self, keys: Sequence[Key]) -> None:
        self.queue.add(*keys)

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


def _change(known: _Known, change: Change) -> Sequence[Key]:
    """Return the keys of a change, after recording it."""
    if change.object["is_foreign"]:
        return ()
    address, seen = _address(change.object), _seen(change.object)
    if change.deleted:
        known.pop(address, None)
        return seen.keys
    known[address] = seen
    return seen.keys if change.object["matters"] else ()


def _replace(known: _Known, snapshot: Snapshot) -> list[Key]:
    """Replace the objects that were seen by those of a whole collection; return the keys of what differs and matters."""
    items = [item for item in snapshot.items if not item["is_foreign"]]
    current = {_address(item): _seen(item) for item in items}
    silent = {_address(item) for item in items if not item["matters"]}
    changed = [
        address
        for address in {**known, **current}
        if address not in silent and known.get(address) != current.get(address)
    ]
    keys = [key for address in changed for key in (current.get(address) or known[address]).keys]
    known.clear()
    known.update(current)
    return list(dict.fromkeys(keys))


def _seen(view: Object) -> _Seen:
    return _Seen(view["metadata"]["resourceVersion"], view["keys"])


def _address(body: Object) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]

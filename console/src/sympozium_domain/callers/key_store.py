"""The API keys of the served namespaces in memory, kept by a watch, so that a check costs no call."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog
from pydantic import ValidationError

from sympozium_api.client import Client, Snapshot, watch
from sympozium_api.resources import API_KEYS, Object
from sympozium_domain.callers.key_record import KeyRecord, key_record

log = structlog.get_logger()


class KeyStore:
    """All keys, also revoked and expired ones."""

    def __init__(self, scopes: Sequence[str | None] = (None,)) -> None:
        self._scopes = tuple(scopes)
        self._unread = set(self._scopes)
        self._keys: dict[str, KeyRecord] = {}
        self._by_digest: dict[str, list[KeyRecord]] = {}
        self._uids: dict[tuple[str, str], set[str]] = defaultdict(set)
        """UIDs of the keys with an id, by namespace and id: several have one only if somebody copied a key."""
        self._awaited: dict[str, list[asyncio.Future[None]]] = defaultdict(list)

    @property
    def is_whole(self) -> bool:
        """True once all keys were read."""
        return not self._unread

    def find(self, digest: str) -> KeyRecord | None:
        """Return the key with a digest. Of copies the oldest counts, so that nobody gives another one's key another meaning."""
        return next(iter(self._by_digest.get(digest, ())), None)

    def by_id(self, namespace: str, key_id: str) -> KeyRecord | None:
        """Return a key of a namespace by its id. Of copies the oldest counts, as with digests."""
        found = (self._keys[uid] for uid in self._uids.get((namespace, key_id), ()))
        return min(found, key=lambda key: (key.created_at, key.uid), default=None)

    def all(self, namespaces: Sequence[str] | None) -> list[KeyRecord]:
        """Return the keys of some namespaces, None: of all, by namespace and then the oldest first."""
        wanted = None if namespaces is None else frozenset(namespaces)
        found = [key for key in self._keys.values() if wanted is None or key.namespace in wanted]
        return sorted(found, key=lambda key: (key.namespace, key.created_at, key.uid))

    def count(self, namespace: str) -> int:
        """Return the number of a namespace's keys."""
        return sum(key.namespace == namespace for key in self._keys.values())

    async def appears(self, digests: Iterable[str]) -> None:
        """Wait until there is a key with one of these digests."""
        appearance = asyncio.get_running_loop().create_future()
        wanted = tuple(digests)
        for digest in wanted:
            self._awaited[digest].append(appearance)
        try:
            await appearance
        finally:
            for digest in wanted:
                self._awaited[digest].remove(appearance)
                if not self._awaited[digest]:
                    del self._awaited[digest]

    def put(self, key: KeyRecord) -> None:
        """Add a key or its new state. What was revoked once stays revoked, whatever older state comes late."""
        known = self._keys.get(key.uid)
        if known is not None:
            self._forget(known)
        kept = replace(key, revoked=key.revoked or (known is not None and known.revoked))
        self._keys[key.uid] = kept
        self._uids[key.namespace, key.id].add(key.uid)
        same = [*self._by_digest.get(key.digest, ()), kept]
        self._by_digest[key.digest] = sorted(same, key=lambda one: (one.created_at, one.uid))
        if len(same) > 1:
            log.warning("several APIKeys have one digest, the oldest counts", ids=[one.id for one in same])
        for appearance in self._awaited.get(key.digest, ()):
            if not appearance.done():
                appearance.set_result(None)

    def remove(self, uid: str) -> None:
        """Remove a key that is deleted."""
        if known := self._keys.pop(uid, None):
            self._forget(known)

    def _forget(self, key: KeyRecord) -> None:
        self._uids[key.namespace, key.id].discard(key.uid)
        if not self._uids[key.namespace, key.id]:
            del self._uids[key.namespace, key.id]
        rest = [one for one in self._by_digest[key.digest] if one.uid != key.uid]
        if rest:
            self._by_digest[key.digest] = rest
        else:
            del self._by_digest[key.digest]

    async def follow(self, client: Client) -> None:
        """Follow the keys of the API server, without end."""
        async with asyncio.TaskGroup() as tasks:
            for scope in self._scopes:
                tasks.create_task(self._follow(client, scope))

    async def _follow(self, client: Client, scope: str | None) -> None:
        async for change in watch(client, API_KEYS, scope):
            if isinstance(change, Snapshot):
                self._replace(scope, change.items)
            elif change.deleted:
                self.remove(change.object["metadata"]["uid"])
            else:
                self._read(change.object)

    def _replace(self, scope: str | None, items: Sequence[Object]) -> None:
        present = {item["metadata"]["uid"] for item in items}
        gone = [key.uid for key in self._keys.values() if scope in (None, key.namespace) and key.uid not in present]
        for uid in gone:
            self.remove(uid)
        for item in items:
            self._read(item)
        self._unread.discard(scope)

    def _read(self, item: Object) -> None:
        try:
            self.put(key_record(item))
        except (ValidationError, ValueError):  # of a later version's schema
            metadata = item["metadata"]
            log.warning("an APIKey cannot be read", namespace=metadata["namespace"], name=metadata["name"])
            self.remove(metadata["uid"])

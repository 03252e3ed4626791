"""The watches of the feed: of each kind one per scope, whose changes are published in the ring."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from sympozium_api.client import (
    ApiError,
    ApiUnavailable,
    Change,
    Client,
    Gap,
    ResourceType,
    Snapshot,
    watch,
    watch_new_rows,
)
from sympozium_api.resources import RUNS, Object
from sympozium_console.change_feed.change_ring import ChangeRing, ChangeType
from sympozium_console.change_feed.known_objects import Key, key_of
from sympozium_console.run_index import indexed_rows
from sympozium_console.run_summaries import RunSummary
from sympozium_domain.object_pages import without_managed_fields

_GIVE_UP_SECONDS = 5.0
"""Seconds after which a namespace that may not be read, or does not exist, holds up nobody any longer."""
_SKIP_SECONDS = 30.0
_RETRY_SECONDS = 1.0

Scope = str | None
"""Namespace that is watched, or None for all at once."""

log = structlog.get_logger()


def _nothing(_: Object) -> None:
    return None


@dataclass
class KindWatch:
    """The watch of one kind of which there are few objects: a new list is compared with what was known, so nothing is missed."""

    client: Client
    ring: ChangeRing
    kind: ResourceType
    word: str
    """Plural word for the kind, such as ``instances``."""
    scopes: Sequence[Scope]
    shown: Callable[[Object], Object] = without_managed_fields
    """Makes of an object what clients are told."""
    instance_of: Callable[[Object], str | None] = _nothing
    on_put: Callable[[Object], None] = _nothing
    on_removed: Callable[[Key], None] = lambda _: None
    _versions: dict[Key, str] = field(default_factory=dict)
    _unread: set[Scope] = field(init=False)

    def __post_init__(self) -> None:
        self._unread = set(self.scopes)

    @property
    def is_whole(self) -> bool:
        """True once each scope was listed, or cannot be."""
        return not self._unread

    async def run(self) -> None:
        """Watch without end."""
        async with asyncio.TaskGroup() as tasks:
            for scope in self.scopes:
                tasks.create_task(_followed(self.word, scope, self._follow, self._skip))

    async def _follow(self, scope: Scope) -> None:
        give_up = () if scope is None else (_GIVE_UP_SECONDS,)
        async with aclosing(watch(self.client, self.kind, scope, without_managed_fields, *give_up)) as messages:
            async for message in messages:
                if isinstance(message, Snapshot):
                    self._listed(scope, message.items)
                elif message.deleted:
                    self._removed(key_of(message.object))
                else:
                    self._put(message.object)

    def _listed(self, scope: Scope, items: list[Object]) -> None:
        present = {key_of(item) for item in items}
        for key in [key for key in self._versions if scope in (None, key[0]) and key not in present]:
            self._removed(key)
        for item in items:
            if self._versions.get(key_of(item)) != item["metadata"]["resourceVersion"]:
                self._put(item)
        self._unread.discard(scope)

    def _put(self, body: Object) -> None:
        key = namespace, name = key_of(body)
        self._versions[key] = body["metadata"]["resourceVersion"]
        try:
            self.on_put(body)
            shown = self.shown(body)
        except (LookupError, TypeError, ValueError, AttributeError) as failure:
            log.warning("object cannot be shown", kind=self.kind.kind, error=type(failure).__name__)
            return
        data = {"namespace": namespace, "name": name, "object": shown}
        self.ring.publish("changed", self.word, data, namespace=namespace, instance=self.instance_of(body))

    def _removed(self, key: Key) -> None:
        namespace, name = key
        self._versions.pop(key, None)
        self.on_removed(key)
        self.ring.publish("deleted", self.word, {"namespace": namespace, "name": name}, namespace=namespace)

    def _skip(self, scope: Scope) -> None:
        self._unread.discard(scope)


@dataclass(frozen=True)
class RunsWatch:
    """The watch of runs, of which there are too many to be listed: only changes are read, and of each its row alone."""

    client: Client
    ring: ChangeRing
    word: str
    scopes: Sequence[Scope]

    async def run(self) -> None:
        """Watch without end."""
        async with asyncio.TaskGroup() as tasks:
            for scope in self.scopes:
                tasks.create_task(_followed(self.word, scope, self._follow))

    async def _follow(self, scope: Scope) -> None:
        give_up = () if scope is None else (_GIVE_UP_SECONDS,)
        async with aclosing(watch_new_rows(self.client, RUNS, scope, *give_up)) as messages:
            async for message in messages:
                if isinstance(message, Gap):
                    self.ring.publish("reset", self.word, {"namespace": scope}, namespace=scope)
                else:
                    self._change(message)

    def _change(self, change: Change) -> None:
        try:
            row = indexed_rows.indexed(change.object)
        except (LookupError, TypeError, ValueError, AttributeError):
            return  # the index counts and logs such runs
        if row is None:
            return
        data: Object = {"namespace": row.namespace, "name": row.name}
        if not change.deleted:
            data["object"] = RunSummary.of_row(row).model_dump(mode="json", by_alias=True)
        change_type: ChangeType = "deleted" if change.deleted else "changed"
        self.ring.publish(change_type, self.word, data, namespace=row.namespace, instance=row.instance)


async def _followed(
    word: str,
    scope: Scope,
    follow: Callable[[Scope], Awaitable[None]],
    skip: Callable[[Scope], None] = lambda _: None,
) -> None:
    """Follow a scope without end. A namespace that may not be read, or does not exist, is tried again later."""
    while True:
        try:
            await follow(scope)
        except (ApiError, ApiUnavailable) as failure:
            if isinstance(failure, ApiError) and (failure.forbidden or failure.not_found):
                log.warning("namespace is not watched", kind=word, namespace=scope, status=failure.status)
                skip(scope)
                await asyncio.sleep(_SKIP_SECONDS)
            else:
                await asyncio.sleep(_RETRY_SECONDS)

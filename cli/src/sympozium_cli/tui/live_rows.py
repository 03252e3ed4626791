"""Collections that watches keep as the cluster has them, each object reduced to its item of a list."""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic

import aiohttp

from sympozium_api.client import ApiError, ApiUnavailable, Client, RowPage, Snapshot, watch, watch_rows
from sympozium_api.resources import Object, ResourceType
from sympozium_cli.tui.views.reading import Key, key_of
from sympozium_cli.tui.views.states import Live, Reading, State, state_of
from sympozium_cli.tui.views.window import AnyItem

_PASSING = (ApiError, ApiUnavailable, aiohttp.ClientError, OSError, ValueError, LookupError, TypeError)
_GONE = 410
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True)
class Source(Generic[AnyItem]):
    """A kind, and how its objects become items."""

    kind: ResourceType
    item: Callable[[Object], AnyItem]
    as_table: bool = False
    """True: objects come as rows, so that their contents stay in the API server."""
    accepts: Callable[[AnyItem], bool] = lambda _item: True
    most: int = 10_000
    """Number of items that are held; of more, those with the greatest ``order`` stay."""


class LiveRows(Generic[AnyItem]):
    """The items of a collection, while ``follow`` runs."""

    def __init__(self, client: Client, source: Source[AnyItem], on_change: Callable[[], None]) -> None:
        self.source = source
        self.items: dict[Key, AnyItem] = {}
        self.state: State = Reading()
        self.as_of: datetime | None = None
        """Time of the last answer of the API server about the collection."""
        self.left_out = 0
        """Number of items that were dropped because there are too many."""
        self._client = client
        self._on_change = on_change

    async def follow(self, namespace: str | None) -> None:
        """Keep the items of a namespace (None: of all) as the cluster has them, until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await (self._follow_rows(namespace) if self.source.as_table else self._follow_objects(namespace))
            except _PASSING as error:
                pause = min(2 * pause, _LONGEST_PAUSE) if not isinstance(self.state, Live) else _FIRST_PAUSE
                if isinstance(error, ApiError) and error.status != _GONE:
                    self.items, self.state = {}, state_of(error)
                    self._on_change()
            await asyncio.sleep(pause)

    async def _follow_objects(self, namespace: str | None) -> None:
        def view(body: Object) -> Object:
            return {"key": key_of(body), "item": self.source.item(body)}

        async for change in watch(self._client, self.source.kind, namespace, view, 0.0):
            if isinstance(change, Snapshot):
                found = [shown["item"] for shown in change.items]
                self.items = {item.key: item for item in found if self.source.accepts(item)}
                self.state = Live()
            else:
                self._apply(change.object["item"], deleted=change.deleted)
            self._changed()

    async def _follow_rows(self, namespace: str | None) -> None:
        listed: dict[Key, AnyItem] = {}
        async for change in watch_rows(self._client, self.source.kind, namespace, 0.0):
            if isinstance(change, RowPage):
                listed = {} if change.is_first else listed
                for row in change.rows:
                    item = self.source.item(row)
                    listed[item.key] = item
                if change.is_last:
                    self.items, self.state = listed, Live()
                elif not isinstance(self.state, Live):
                    self.items, self.state = listed, Reading(len(listed), change.remaining)
            else:
                self._apply(self.source.item(change.object), deleted=change.deleted)
            self._changed()

    def _apply(self, item: AnyItem, *, deleted: bool) -> None:
        if deleted or not self.source.accepts(item):
            self.items.pop(item.key, None)
        else:
            self.items[item.key] = item

    def _changed(self) -> None:
        most = self.source.most
        if len(self.items) > most + most // 10:
            kept = heapq.nlargest(most, self.items.values(), key=lambda item: item.order)
            self.left_out += len(self.items) - len(kept)
            self.items = {item.key: item for item in kept}
        self.as_of = datetime.now(UTC)
        self._on_change()

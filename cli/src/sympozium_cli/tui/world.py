"""The state that all screens share: the cluster, what is watched, read-only mode, and the last line that was done."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sympozium_api.client import Client
from sympozium_api.resources import CONFIGS, EVENTS, INSTANCES, RUNS, SKILL_PACKS, ResourceType
from sympozium_cli.cluster import Cluster
from sympozium_cli.tui.live_rows import LiveRows, Source
from sympozium_cli.tui.views.configs import config_item
from sympozium_cli.tui.views.events import event_item
from sympozium_cli.tui.views.instances import instance_item
from sympozium_cli.tui.views.packs import pack_item
from sympozium_cli.tui.views.runs import run_item

_BEAT_SECONDS = 3.0
_ANSWER_SECONDS = 4.0

SOURCES: dict[str, Source[Any]] = {
    INSTANCES.plural: Source(INSTANCES, instance_item),
    RUNS.plural: Source(RUNS, run_item, as_table=True),
    SKILL_PACKS.plural: Source(SKILL_PACKS, pack_item),
    CONFIGS.plural: Source(CONFIGS, config_item),
    EVENTS.plural: Source(EVENTS, event_item, accepts=lambda item: item.is_ours, most=2_000),
}


class World:
    """All that is known of the cluster. ``on_change`` is called whenever something of it changes."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        read_only: bool = False,
        beat_seconds: float = _BEAT_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.cluster = cluster
        self.namespace = cluster.namespace
        self.read_only = read_only
        self.away_since: datetime | None = None
        self.done_line = ""
        """The kubectl line of the last change that was made."""
        self.on_change: Callable[[], None] = lambda: None
        self._beat_seconds = beat_seconds
        self._clock = clock
        self._live: dict[str, LiveRows[Any]] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._beat: asyncio.Task[None] | None = None

    @property
    def client(self) -> Client:
        """Client with the user's rights."""
        return self.cluster.client

    @property
    def kubectl_args(self) -> Sequence[str]:
        """Options that lead kubectl to the same cluster."""
        return self.cluster.kubectl_args

    @property
    def now(self) -> datetime:
        """The current time."""
        return self._clock()

    def live(self, kind: ResourceType) -> LiveRows[Any]:
        """Return a kind's items in the selected namespace, watched from the first call on."""
        rows = self._live.get(kind.plural)
        if rows is None:
            rows = LiveRows(self.client, SOURCES[kind.plural], self._changed)
            self._live[kind.plural] = rows
            self._following[kind.plural] = asyncio.create_task(rows.follow(self.namespace))
        return rows

    def select(self, namespace: str | None) -> None:
        """Watch another namespace; None: all."""
        self.namespace = namespace
        self.reconnect()

    def reconnect(self) -> None:
        """Read everything again."""
        for task in self._following.values():
            task.cancel()
        self._live.clear()
        self._following.clear()
        self._start_beat()
        self._changed()

    def start(self) -> None:
        """Begin to look whether the cluster answers."""
        self._start_beat()

    def _start_beat(self) -> None:
        if self._beat:
            self._beat.cancel()
        self._beat = asyncio.create_task(self._watch_the_cluster())

    async def _watch_the_cluster(self) -> None:
        while True:
            answers = False
            with suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    answers = await self.client.answers()
            away_since = None if answers else self.away_since or self.now
            if away_since != self.away_since:
                self.away_since = away_since
                self._changed()
            await asyncio.sleep(self._beat_seconds)

    def _changed(self) -> None:
        self.on_change()

    async def close(self) -> None:
        """End all watches."""
        tasks = [*self._following.values(), *([self._beat] if self._beat else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""The stream of changes that one client gets: a cursor in the ring, with filters."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from sympozium_console.change_feed.change_ring import ChangeRing, ShownChange, event_frame

_JUDGED_SECONDS = 60.0
_BATCH_SECONDS = 0.1
"""Seconds for which changes wait for others, so that a busy cluster does not wake every stream for each change."""
_RETRY_MILLISECONDS = (1000, 5000)
"""Bounds of the time after which a client connects again: another one for each, so that they do not all come at once."""


@dataclass(frozen=True)
class Wanted:
    """The changes that a client asks for, and may see."""

    kinds: Mapping[str, frozenset[str] | None]
    """Namespaces by kind; None: all."""
    instance: str | None = None

    def has(self, change: ShownChange) -> bool:
        """Return True if the client gets a change."""
        if change.kind not in self.kinds:
            return False
        namespaces = self.kinds[change.kind]
        if change.namespace is not None and namespaces is not None and change.namespace not in namespaces:
            return False
        return self.instance is None or change.instance in (None, self.instance)


class Judged:
    """The changes that a client may see, judged again when the last judgement is a minute old."""

    def __init__(self, wanted: Wanted, judge: Callable[[], Awaitable[Wanted | None]]) -> None:
        """``judge`` returns None for a client that may see nothing any more."""
        self._wanted: Wanted | None = wanted
        self._judge = judge
        self._judged_at = asyncio.get_running_loop().time()

    async def wanted(self) -> Wanted | None:
        """Return what the client may see."""
        now = asyncio.get_running_loop().time()
        if now - self._judged_at >= _JUDGED_SECONDS:
            self._wanted, self._judged_at = await self._judge(), now
        return self._wanted


async def stream(
    ring: ChangeRing, judged: Judged, last_event_id: str | None, stop: asyncio.Event
) -> AsyncGenerator[bytes, None]:
    """Yield server-sent events until ``stop`` is set, the client may see nothing any more, or changes are gone before it had them.

    First comes what it missed since ``last_event_id``, or ``reset`` if that is not known any more, and then ``synced``: from here
    on all changes are told.
    """
    position = ring.end
    if (wanted := await judged.wanted()) is None:
        return
    yield b"retry: %d\n\n" % random.randint(*_RETRY_MILLISECONDS)
    if last_event_id:
        resumed = ring.position_of(last_event_id)
        if resumed is None:
            yield event_frame("reset", {"kinds": sorted(wanted.kinds)}, ring.id_of(position))
        else:
            position = resumed
    missed = ring.since(position) or []
    position += len(missed)
    yield _frames(missed, wanted) + event_frame("synced", {"kinds": sorted(wanted.kinds)}, ring.id_of(position))
    stopped = asyncio.create_task(stop.wait())
    try:
        while await _has_grown(ring, position, stopped):
            changes, wanted = ring.since(position), await judged.wanted()
            if changes is None or wanted is None:
                return
            position += len(changes)
            if frames := _frames(changes, wanted):
                yield frames
    finally:
        stopped.cancel()


async def _has_grown(ring: ChangeRing, position: int, stopped: asyncio.Task[bool]) -> bool:
    """Return True once there are changes after a position, False once the stream has to end."""
    grown = asyncio.create_task(ring.wait(position))
    try:
        await asyncio.wait({grown, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            await asyncio.wait({stopped}, timeout=_BATCH_SECONDS)
        return not stopped.done()
    finally:
        grown.cancel()


def _frames(changes: list[ShownChange], wanted: Wanted) -> bytes:
    return b"".join(change.frame for change in changes if wanted.has(change))

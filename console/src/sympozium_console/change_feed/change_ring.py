"""The last changes of objects, as clients are told of them: bounded in number and in bytes, and the same for all clients."""

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from sympozium_api.resources import Object
from sympozium_http.sse import one_line

_MOST_CHANGES = 2000
_MOST_BYTES = 16 * 1024 * 1024

ChangeType = Literal["changed", "deleted", "reset"]


@dataclass(frozen=True)
class ShownChange:
    """A change, or with the type ``reset`` a gap: changes before it may have been missed."""

    kind: str
    """Plural word of the kind, such as ``runs``."""
    namespace: str | None
    """Namespace of the object; None: of a gap in all namespaces."""
    instance: str | None
    """Name of the instance that the object is, or belongs to."""
    frame: bytes
    """The server-sent event."""


class ChangeRing:
    """The changes of one process. A position is the number of changes that were published before it."""

    def __init__(self, most_changes: int = _MOST_CHANGES, most_bytes: int = _MOST_BYTES) -> None:
        self._most_changes, self._most_bytes = most_changes, most_bytes
        self._epoch = secrets.token_hex(4)
        self._changes: deque[ShownChange] = deque()
        self._bytes = 0
        self._grown = asyncio.Event()
        self.end = 0
        """Position after the last change."""

    @property
    def begin(self) -> int:
        """Position before the oldest change that is there."""
        return self.end - len(self._changes)

    def publish(
        self, change_type: ChangeType, kind: str, data: Object, *, namespace: str | None, instance: str | None = None
    ) -> None:
        """Append a change with what its clients are told. The oldest ones go where there is no room."""
        self.end += 1
        frame = event_frame(change_type, {"kind": kind} | data, self.id_of(self.end))
        self._changes.append(ShownChange(kind, namespace, instance, frame))
        self._bytes += len(frame)
        while len(self._changes) > self._most_changes or (self._bytes > self._most_bytes and len(self._changes) > 1):
            self._bytes -= len(self._changes.popleft().frame)
        self._grown.set()
        self._grown = asyncio.Event()

    def since(self, position: int) -> list[ShownChange] | None:
        """Return the changes after a position; None: some of them are gone."""
        if position < self.begin:
            return None
        return list(islice(self._changes, position - self.begin, None))

    async def wait(self, position: int) -> None:
        """Wait until there is a change after a position."""
        while self.end <= position:
            await self._grown.wait()

    def id_of(self, position: int) -> str:
        """Return the event id that stands for a position in this process."""
        return f"{self._epoch}-{position}"

    def position_of(self, event_id: str) -> int | None:
        """Return the position that an event id stands for; None: another process's, or changes after it are gone."""
        epoch, _, number = event_id.partition("-")
        if epoch != self._epoch or not number.isascii() or not number.isdigit() or len(number) > 15:
            return None
        return int(number) if self.begin <= int(number) <= self.end else None


def event_frame(event_type: str, data: Object, event_id: str) -> bytes:
    """Return a server-sent event."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (event_id.encode(), event_type.encode(), one_line(data))

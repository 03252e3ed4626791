"""The line of the requests that wait for their turn of a session, at one replica: first come, first served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sympozium_domain.sessions.patience import Patience, SessionBusy

_MOST_WAITING = 32
"""Requests of one session that wait at a replica; each holds its body."""


@dataclass
class _Line:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class WaitingLines:
    """The lines of all sessions. A session that nobody waits for takes no memory."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @asynccontextmanager
    async def head(self, session: str, patience: Patience) -> AsyncIterator[None]:
        """Wait until this request is the first in its session's line, and be that. Raises SessionBusy and GivenUp."""
        line = self._lines.setdefault(session, _Line())
        if line.length >= _MOST_WAITING:
            raise SessionBusy
        line.length += 1
        turn = asyncio.ensure_future(line.lock.acquire())
        try:
            await patience.wait(turn)
            yield
        finally:
            if turn.done() and not turn.cancelled():
                line.lock.release()
            line.length -= 1
            if not line.length:
                del self._lines[session]

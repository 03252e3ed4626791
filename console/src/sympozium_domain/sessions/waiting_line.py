"""The line of the requests that wait for their turn of a session, at one replica: first come, first served."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sympozium_domain.sessions.patience import Patience, SessionBusy
from sympozium_http.byte_budget import ByteBudget

_MOST_WAITING = 32
"""Requests of one session that wait at a replica."""
_SHARE = 4
"""Part of the process's budget that the bodies of requests that wait may take: a quarter."""


@dataclass
class _Line:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class WaitingLines:
    """The lines of all sessions. A session that nobody waits for takes no memory."""

    def __init__(self, budget: ByteBudget) -> None:
        """``budget``: that of the process, in which the bodies are counted."""
        self._budget = budget
        self._held = 0
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @asynccontextmanager
    async def head(self, session: str, size: int, patience: Patience) -> AsyncIterator[None]:
        """Wait until a request of ``size`` bytes is the first in its session's line, and be that. Raises SessionBusy and GivenUp."""
        line = self._lines.get(session, _Line())
        if line.length >= _MOST_WAITING or (self._held and self._held + size > self._budget.limit // _SHARE):
            raise SessionBusy
        self._lines[session] = line
        line.length += 1
        self._hold(size)
        turn = asyncio.ensure_future(line.lock.acquire())
        try:
            await patience.wait(turn)
            yield
        finally:
            if turn.done() and not turn.cancelled():
                line.lock.release()
            self._hold(-size)
            line.length -= 1
            if not line.length:
                del self._lines[session]

    def _hold(self, size: int) -> None:
        self._held += size
        self._budget.add(size)

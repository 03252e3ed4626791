"""Last uses of API keys on their way to the archive: requests never wait for it, and a key costs a write a minute at most."""

import asyncio

import structlog

from sympozium_api.clock import Clock
from sympozium_archive.key_uses import LEAST_SECONDS, KeyUses
from sympozium_archive.times import microseconds
from sympozium_archive.unavailable import DatabaseUnavailable

log = structlog.get_logger()

_PAUSE_SECONDS = 5.0
_MOST_KEYS = 20_000


class KeyUseRecorder:
    """Recorder of the keys that this replica has seen valid."""

    def __init__(self, uses: KeyUses, clock: Clock) -> None:
        self._uses = uses
        self._clock = clock
        self._due: dict[str, int] = {}
        self._written: dict[str, float] = {}

    def used(self, uid: str) -> None:
        """Remember that a key was used now."""
        now = self._clock.monotonic()
        if now - self._written.get(uid, float("-inf")) >= LEAST_SECONDS and len(self._due) < _MOST_KEYS:
            self._due[uid] = microseconds(self._clock.now())

    async def run(self) -> None:
        """Write what is due every few seconds, without end; while the database is away it stays due."""
        while True:
            await self.write()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def write(self) -> None:
        """Write what is due, if the database takes it."""
        due, self._due = self._due, {}
        if not due:
            return
        try:
            await self._uses.record(due)
        except DatabaseUnavailable as error:
            log.warning("last uses of keys are not written", number=len(due), reason=str(error))
            self._due = due | self._due
            return
        now = self._clock.monotonic()
        kept = {uid: at for uid, at in self._written.items() if now - at < LEAST_SECONDS}
        self._written = kept | dict.fromkeys(due, now)

"""Changes of runs on their way into the table."""

import asyncio
from dataclasses import dataclass

from sympozium_archive.run_rows import RunRow


@dataclass(frozen=True)
class SeenRow:
    """A run's newest state, and the time of the loop at which the oldest state was seen that it replaces."""

    row: RunRow
    seen_at: float


class PendingRows:
    """The newest state of each run that changed and is not in the table yet, the oldest change first.

    ``put`` waits for room. So the watch stands still while a database is away, instead of filling the memory, and begins again with
    a list if it has stood for too long.
    """

    def __init__(self, *, most: int, wait_seconds: float) -> None:
        self._most = most
        self._wait_seconds = wait_seconds
        self._rows: dict[str, SeenRow] = {}
        self._in_flight: list[SeenRow] = []
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._written = asyncio.Event()

    def __len__(self) -> int:
        return len(self._rows) + len(self._in_flight)

    @property
    def lag_seconds(self) -> float:
        """Seconds since the oldest change was seen that is not in the table; 0 if there is none."""
        oldest = self._oldest
        return asyncio.get_running_loop().time() - oldest.seen_at if oldest else 0.0

    @property
    def _oldest(self) -> SeenRow | None:
        return next(iter(self._in_flight or self._rows.values()), None)

    async def settled(self) -> None:
        """Wait until the table has every state that was put before now."""
        now = asyncio.get_running_loop().time()
        while (oldest := self._oldest) and oldest.seen_at <= now:
            self._written.clear()
            await self._written.wait()

    async def put(self, row: RunRow) -> None:
        """Add a run's state, in place of an older one."""
        while len(self._rows) >= self._most and row.uid not in self._rows:
            self._room.clear()
            await self._room.wait()
        before = self._rows.get(row.uid)
        self._rows[row.uid] = SeenRow(row, before.seen_at if before else asyncio.get_running_loop().time())
        self._filled.set()

    async def take(self, most: int) -> list[RunRow]:
        """Return the oldest changes, once there is one and others had a moment to join it. ``written`` ends their way."""
        await self._filled.wait()
        await asyncio.sleep(self._wait_seconds)
        self._in_flight = [self._rows.pop(uid) for uid in list(self._rows)[:most]]
        self._room.set()
        if not self._rows:
            self._filled.clear()
        return [seen.row for seen in self._in_flight]

    def written(self) -> None:
        """Forget the changes that were taken, because the table has them."""
        self._in_flight = []
        self._written.set()

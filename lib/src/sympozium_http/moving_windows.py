"""Rates over moving windows, in this process's memory, or shared by replicas in Valkey or Redis. Each surface has its own rules.

limits is imported here only.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from sympozium_api.rate_limit import CallRate

SHARED_SECONDS = 1.0
"""Longest wait for the answer of Valkey or Redis."""
PAUSE_SECONDS = 5.0
"""Seconds for which nothing is asked of a server that did not answer, so that its absence delays few requests."""
_FEW = 1000
"""Number of windows in memory from which on those that have passed are dropped."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Verdict:
    """Decision about one request, with the figures for a surface's headers."""

    allowed: bool
    rate: CallRate
    remaining: int
    """Requests that are allowed now."""
    reset_seconds: float
    """Seconds until the oldest request leaves the window, so that one more is allowed."""

    @property
    def retry_after(self) -> int:
        """Return the whole seconds after which a refused request is allowed."""
        return max(1, math.ceil(self.reset_seconds))


class WindowsUnavailable(Exception):
    """The server that counts for all replicas does not answer."""


class Windows(Protocol):
    """Counter of the requests of any rate."""

    async def take(self, rate: CallRate, *key: str) -> Verdict:
        """Count a request of a key, unless the rate is reached: then it does not count. Raises WindowsUnavailable."""

    async def close(self) -> None:
        """Close the connections."""


class MovingWindows:
    """Windows at a URL such as ``redis://valkey:6379``; without one in memory. Make it within the event loop.

    ``prefix`` tells the keys of a surface apart from those of others at the same server.
    """

    def __init__(self, url: str, prefix: str, *, seconds: float = SHARED_SECONDS) -> None:
        self._prefix = prefix
        self._seconds = seconds
        self._storage: Any = _shared(url, prefix, seconds) if url else _Memory()
        self._limiter = MovingWindowRateLimiter(self._storage)

    async def take(self, rate: CallRate, *key: str) -> Verdict:
        """Count a request of a key, unless the rate is reached: then it does not count. Raises WindowsUnavailable in time."""
        item = RateLimitItemPerSecond(rate.calls, rate.seconds, self._prefix)
        try:
            async with asyncio.timeout(self._seconds):
                allowed = await self._limiter.hit(item, *key)
                window = await self._limiter.get_window_stats(item, *key)
        except Exception as error:
            raise WindowsUnavailable(type(error).__name__) from error
        remaining = max(0, window.remaining) if allowed else 0
        return Verdict(allowed, rate, remaining, max(0.0, window.reset_time - time.time()))

    async def close(self) -> None:
        """Close the connections."""
        if isinstance(self._storage, RedisStorage):
            await self._storage.bridge.storage.aclose()  # type: ignore[attr-defined]


class LenientWindows:
    """Shared windows that this process replaces by its own while their server does not answer.

    N replicas then allow up to N times a rate, and never more.
    """

    def __init__(self, shared: Windows, *, on_failure: Callable[[], None], clock: Callable[[], float]) -> None:
        self._shared = shared
        self._own = MovingWindows("", "own")
        self._on_failure = on_failure
        self._clock = clock
        self._asks_again_at = float("-inf")
        self._is_away = False

    async def take(self, rate: CallRate, *key: str) -> Verdict:
        """Count a request of a key, by all replicas together if that is possible."""
        if self._clock() >= self._asks_again_at:
            if self._is_away:  # one request finds out whether the server is back, and no other waits beside it
                self._asks_again_at = self._clock() + PAUSE_SECONDS
            try:
                verdict = await self._shared.take(rate, *key)
            except WindowsUnavailable as error:
                log.warning("rates are counted by this replica alone", error=str(error), seconds=PAUSE_SECONDS)
                self._is_away, self._asks_again_at = True, self._clock() + PAUSE_SECONDS
            else:
                self._is_away, self._asks_again_at = False, float("-inf")
                return verdict
        self._on_failure()
        return await self._own.take(rate, *key)

    async def close(self) -> None:
        """Close the connections."""
        await self._shared.close()


class _Memory(MemoryStorage):
    """Windows in memory. Those of ``limits`` look through all keys after each request, in threads: 4 ms with 1,000 keys."""

    def __init__(self) -> None:
        super().__init__()
        self._times: dict[str, deque[float]] = {}
        self._seconds: dict[str, int] = {}
        self._swept_at = _FEW

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count requests of a key, unless they are too many."""
        now = time.time()
        times = self._current(key, expiry, now)
        if len(times) + amount > limit:
            return False
        times.extend([now] * amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - part of the interface
        """Return the time of the oldest request in a window, and the number of its requests."""
        now = time.time()
        times = self._current(key, expiry, now)
        return (times[0] if times else now), len(times)

    def _current(self, key: str, expiry: int, now: float) -> deque[float]:
        if key not in self._times and len(self._times) >= self._swept_at:
            self._sweep(now)
        times = self._times.setdefault(key, deque())
        self._seconds[key] = expiry
        while times and times[0] < now - expiry:
            times.popleft()
        return times

    def _sweep(self, now: float) -> None:
        for key in [key for key, times in self._times.items() if not times or times[-1] < now - self._seconds[key]]:
            del self._times[key], self._seconds[key]
        self._swept_at = max(_FEW, 2 * len(self._times))


def _shared(url: str, prefix: str, seconds: float) -> RedisStorage:
    """Return the storage of a server, whichever of its names the URL has."""
    scheme, separator, rest = url.partition("://")
    address = f"async+{scheme.replace('valkey', 'redis')}{separator}{rest}"
    return RedisStorage(
        address, implementation="redispy", key_prefix=prefix, socket_timeout=seconds, socket_connect_timeout=seconds
    )

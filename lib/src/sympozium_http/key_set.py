"""Public keys of an issuer of tokens: fetched when needed, cached, and fetched again while tokens name them."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()

Key = TypeVar("Key")

AGAIN_SECONDS = 10.0
"""Seconds between two fetches at least, even if a token has an unknown key; longer than a fetch takes."""
_FRESH_SECONDS = 600.0
"""Age in seconds at which keys are fetched again beside a request, so that a withdrawn key is soon refused."""
_STALE_SECONDS = 1200.0
"""Age in seconds at which a request waits for that fetch, because nobody may have asked for a day."""
_OLDEST_SECONDS = 24 * 3600.0
"""Age in seconds up to which keys are valid while their issuer does not answer."""


class FetchFailed(Exception):
    """Failure of one fetch of an issuer's keys; the message says why."""


class KeysUnavailable(Exception):
    """Lack of usable keys; ``retry_after`` is the number of seconds until the next fetch."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the issuer's keys cannot be fetched")
        self.retry_after = retry_after


class KeySet(Generic[Key]):
    """Keys of one issuer by their ids. ``fetch`` returns all of them and raises FetchFailed."""

    def __init__(
        self, issuer: str, fetch: Callable[[], Awaitable[Mapping[str, Key]]], *, clock: Callable[[], float]
    ) -> None:
        self._issuer = issuer
        self._fetch_all = fetch
        self._clock = clock
        self._keys: Mapping[str, Key] = {}
        self._fetched_at = float("-inf")
        self._fetching: asyncio.Task[bool] | None = None
        self.tried_at = float("-inf")
        """Start of the last fetch, on ``clock``."""

    @property
    def retry_after(self) -> int:
        """Seconds, rounded up, until keys can be fetched again."""
        return max(1, math.ceil(self.tried_at + AGAIN_SECONDS - self._clock()))

    async def find(self, key_id: str) -> Key | None:
        """Return the key of an id, None if the issuer had none at the last fetch. Raises KeysUnavailable if no fetch succeeds."""
        age = self._clock() - self._fetched_at
        is_usable = key_id in self._keys and age < _OLDEST_SECONDS
        if is_usable and (age < _STALE_SECONDS or self._has_failed()):
            if age >= _FRESH_SECONDS:
                self._fetch_again()
        # shielded, because other requests may wait for the same fetch
        elif not await asyncio.shield(self._fetch_again()) and not is_usable:
            raise KeysUnavailable(self.retry_after)
        return self._keys.get(key_id)

    def _has_failed(self) -> bool:
        """Return True if the last fetch failed: while an issuer is away, only one request waits for it in vain."""
        return self._fetching is not None and self._fetching.done() and not self._fetching.result()

    def _fetch_again(self) -> asyncio.Task[bool]:
        """Start a fetch, or return the last one if it is recent; the task's result is True if the fetch succeeded."""
        if self._fetching is None or self._clock() - self.tried_at >= AGAIN_SECONDS:
            self.tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> bool:
        try:
            self._keys = await self._fetch_all()
        except FetchFailed as failure:
            log.warning("issuer keys could not be fetched", issuer=self._issuer, reason=str(failure))
            return False
        self._fetched_at = self._clock()
        return True

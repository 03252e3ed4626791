"""Rate limits: a token bucket per API key, in every replica the whole of it.

A replica takes a token for what it admits, and charges the same bucket for what the others have admitted, as soon as it sees
it. When several admit at the same moment the bucket goes below zero, and nobody admits until that is paid back: a race shifts
requests by a moment and adds none.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sympozium_api.instance import RateLimit

_FEW = 1000
"""Buckets that are kept without looking which of them are full."""


@dataclass(frozen=True)
class Verdict:
    """Whether a request may pass, and what its caller is told."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: float
    """Until the bucket is full again."""
    retry_seconds: float
    """Until one request may pass; 0 when one may now."""

    def headers(self) -> dict[str, str]:
        """The headers that OpenAI's clients read, and Retry-After where the request may not pass."""
        found = {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": f"{self.reset_seconds:.3f}s",
        }
        return found if self.allowed else found | {"Retry-After": str(math.ceil(self.retry_seconds))}


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class RateLimiter:
    """Buckets of all keys. The limit is given with each request, so that a changed limit holds at once."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._swept_at = _FEW

    def take(self, key_id: str, limit: RateLimit) -> Verdict:
        """Take one request's token from a key's bucket, if there is one."""
        bucket = self._filled(key_id, limit, self._clock())
        per_second, size = limit.requests_per_minute / 60, limit.burst_size
        allowed = bucket.tokens >= 1
        if allowed:
            bucket.tokens -= 1
        return Verdict(
            allowed=allowed,
            limit=limit.requests_per_minute,
            remaining=max(0, int(bucket.tokens)),
            reset_seconds=(size - bucket.tokens) / per_second,
            retry_seconds=max(0.0, (1 - bucket.tokens) / per_second),
        )

    def charge(self, key_id: str, limit: RateLimit, *, seconds_ago: float = 0) -> None:
        """Take the token of a request that another replica has admitted, whether there is one or not."""
        self._filled(key_id, limit, self._clock() - seconds_ago).tokens -= 1

    def _filled(self, key_id: str, limit: RateLimit, at: float) -> _Bucket:
        """A key's bucket with what has flowed into it until then; one that nobody has asked for is full."""
        if key_id not in self._buckets and len(self._buckets) >= self._swept_at:
            self._sweep(limit)
        bucket = self._buckets.setdefault(key_id, _Bucket(limit.burst_size, at))
        flowed = max(0.0, at - bucket.filled_at) * limit.requests_per_minute / 60
        bucket.tokens = min(limit.burst_size, bucket.tokens + flowed)
        bucket.filled_at = max(at, bucket.filled_at)
        return bucket

    def _sweep(self, limit: RateLimit) -> None:
        """Forget the buckets that are full again: of callers with access tokens there may be any number."""
        now, per_second = self._clock(), limit.requests_per_minute / 60
        self._buckets = {
            key_id: bucket
            for key_id, bucket in self._buckets.items()
            if bucket.tokens + (now - bucket.filled_at) * per_second < limit.burst_size
        }
        self._swept_at = max(_FEW, 2 * len(self._buckets))

"""Rate limits: one token bucket per instance and API key, held whole by every replica.

A replica takes a token for each request that it admits. It charges the same bucket for the requests that other replicas
admit, as soon as it sees their runs. If several replicas admit at the same moment, the bucket goes below zero and all
refuse until it is positive again: such a race delays requests and adds none.

"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sympozium_api.web_endpoint import RateLimit

Bucket = tuple[str, str, str]
"""Namespace and name of an instance, and the id of one of its keys."""

_FEW = 1000
"""Number of buckets from which on full buckets are dropped."""


@dataclass(frozen=True)
class Verdict:
    """Decision about one request, with the figures for its rate-limit headers."""

    allowed: bool
    limit: int
    """Number of requests that a full bucket lets through at once."""
    remaining: int
    """Number of requests that it lets through now."""
    per_minute: int
    """Number of requests by which the bucket fills in a minute."""
    reset_seconds: float
    """Seconds until the bucket is full again."""
    retry_seconds: float
    """Seconds until a request is allowed; 0 if one is allowed now."""

    def headers(self) -> dict[str, str]:
        """Return the headers that OpenAI's clients read, with Retry-After if the request is refused."""
        headers = {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": f"{self.reset_seconds:.3f}s",
        }
        return headers if self.allowed else headers | {"Retry-After": str(self.retry_after)}

    @property
    def retry_after(self) -> int:
        """Return the whole seconds after which a request is allowed."""
        return math.ceil(self.retry_seconds)


@dataclass
class _Bucket:
    tokens: float
    filled_at: float
    limit: RateLimit
    """The key's limit when it was last asked for."""

    def at(self, now: float) -> float:
        """Return the tokens at a moment, without the bound of the bucket's size."""
        return self.tokens + max(0.0, now - self.filled_at) * self.limit.requests_per_minute / 60


class RateLimiter:
    """Buckets of all keys of all instances. Each call passes the limit, so that a changed limit applies at once."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[Bucket, _Bucket] = {}
        self._swept_at = _FEW

    def take(self, key: Bucket, limit: RateLimit) -> Verdict:
        """Take one token for a request from a key's bucket, if it has one."""
        bucket = self._filled(key, limit, self._clock())
        per_second, size = limit.requests_per_minute / 60, limit.burst_size
        allowed = bucket.tokens >= 1
        if allowed:
            bucket.tokens -= 1
        return Verdict(
            allowed=allowed,
            limit=size,
            remaining=max(0, int(bucket.tokens)),
            per_minute=limit.requests_per_minute,
            reset_seconds=(size - bucket.tokens) / per_second,
            retry_seconds=max(0.0, (1 - bucket.tokens) / per_second),
        )

    def charge(self, key: Bucket, limit: RateLimit, *, seconds_ago: float = 0) -> None:
        """Take the token of a request that another replica admitted, even if the bucket is empty."""
        self._filled(key, limit, self._clock() - seconds_ago).tokens -= 1

    def _filled(self, key: Bucket, limit: RateLimit, at: float) -> _Bucket:
        """Return a key's bucket, refilled up to a moment; the bucket of a new key is full."""
        if key not in self._buckets and len(self._buckets) >= self._swept_at:
            self._sweep()
        bucket = self._buckets.setdefault(key, _Bucket(limit.burst_size, at, limit))
        bucket.limit = limit
        bucket.tokens = min(limit.burst_size, bucket.at(at))
        bucket.filled_at = max(at, bucket.filled_at)
        return bucket

    def _sweep(self) -> None:
        """Drop full buckets, because access tokens bring any number of callers."""
        now = self._clock()
        self._buckets = {
            key: bucket for key, bucket in self._buckets.items() if bucket.at(now) < bucket.limit.burst_size
        }
        self._swept_at = max(_FEW, 2 * len(self._buckets))

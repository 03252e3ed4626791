"""Limits of callers of the agent platform API: its rules. ``sympozium_http.moving_windows`` counts, for all replicas together."""

from dataclasses import dataclass

from prometheus_client import Counter

from sympozium_api.rate_limit import CallRate
from sympozium_http.moving_windows import Verdict, Windows
from sympozium_http.refusal import Refusal

_SURFACE = "platform"


@dataclass(frozen=True)
class PlatformLimits:
    """Limits of one console. Requests that start runs have a limit of their own, and count towards no other."""

    default: CallRate
    runs: CallRate
    windows: Windows
    refusals: Counter
    """Counter of the requests over a limit, by the limit's name."""

    async def take(self, key_id: str, *, starts_run: bool) -> dict[str, str]:
        """Count a request of a key, and return the headers of its answer. Raises Refusal 429."""
        name, rate = ("platform_runs", self.runs) if starts_run else ("platform_requests", self.default)
        verdict = await self.windows.take(rate, _SURFACE, name, key_id)
        headers = _headers(verdict)
        if verdict.allowed:
            return headers
        self.refusals.labels(name).inc()
        what = "runs" if starts_run else "requests"
        message = f"The limit of {what} of a key is reached: {rate.calls} in {rate.seconds} s."
        raise Refusal(429, "rate_limit_exceeded", message, headers=headers, retry_after=verdict.retry_after)


def _headers(verdict: Verdict) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(verdict.rate.calls),
        "x-ratelimit-remaining-requests": str(verdict.remaining),
        "x-ratelimit-reset-requests": f"{verdict.reset_seconds:.3f}s",
    }

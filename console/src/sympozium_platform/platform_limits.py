"""Limits of callers of the agent platform API: its rules. ``sympozium_http.moving_windows`` counts, for all replicas together."""

from dataclasses import dataclass

from prometheus_client import Counter

from sympozium_api.rate_limit import CallRate
from sympozium_http.forwarded import network
from sympozium_http.moving_windows import Verdict, Windows
from sympozium_http.refusal import Refusal

_SURFACE = "platform"
_FAILURES = "failed_sign_ins"


@dataclass(frozen=True)
class PlatformLimits:
    """Limits of one console. Requests that start runs have a limit of their own, and count towards no other."""

    default: CallRate
    runs: CallRate
    failures: CallRate | None
    """Requests without a valid token or key from one address, which the management API counts, too; None: no limit."""
    windows: Windows
    refusals: Counter
    """Counter of the requests over a limit, by the limit's name."""

    async def take(self, namespace: str, key_id: str, *, starts_run: bool) -> dict[str, str]:
        """Count a request of a namespace's key, and return the headers of its answer. Raises Refusal 429.

        Ids of keys are unique in their namespace only: those in a file are their users' names.
        """
        name, rate = ("platform_runs", self.runs) if starts_run else ("platform_requests", self.default)
        verdict = await self.windows.take(rate, _SURFACE, name, namespace, key_id)
        if not verdict.allowed:
            raise self._refusal(name, "runs of a key" if starts_run else "requests of a key", verdict)
        return _headers(verdict)

    async def take_failure(self, address: str) -> None:
        """Count a request without a valid token or key from an address. Raises Refusal 429. Valid ones are never refused for it."""
        if self.failures is None:
            return
        verdict = await self.windows.take(self.failures, _FAILURES, network(address))
        if not verdict.allowed:
            raise self._refusal(_FAILURES, "failed sign-ins", verdict)

    def _refusal(self, name: str, what: str, verdict: Verdict) -> Refusal:
        self.refusals.labels(name).inc()
        rate = verdict.rate
        message = f"The limit of {what} is reached: {rate.calls} in {rate.seconds} s."
        return Refusal(429, "rate_limit_exceeded", message, headers=_headers(verdict), retry_after=verdict.retry_after)


def _headers(verdict: Verdict) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(verdict.rate.calls),
        "x-ratelimit-remaining-requests": str(verdict.remaining),
        "x-ratelimit-reset-requests": f"{verdict.reset_seconds:.3f}s",
    }

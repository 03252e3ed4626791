"""Limits of callers of the management API: its rules and headers. ``sympozium_http.moving_windows`` counts."""

from dataclasses import dataclass

from sympozium_api.clock import Clock
from sympozium_api.rate_limit import CallRate
from sympozium_console import refusals
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_settings import CallerRates, ConsoleSettings
from sympozium_domain.callers.caller import Caller
from sympozium_http.forwarded import network
from sympozium_http.moving_windows import SHARED_SECONDS, LenientWindows, MovingWindows, Verdict, Windows
from sympozium_http.refusal import Refusal

_PREFIX = "sympozium-console"
_COUNTED = {
    "requests": "requests of a caller",
    "runs": "runs of a caller",
    "failed_sign_ins": "failed sign-ins",
    "failed_forms": "failed sign-ins",
    "issuer_sign_ins": "sign-ins at the issuer",
}
_FORMS = CallRate(10, 60)
"""Sign-ins by form with a wrong credential from one address."""
_CODES = CallRate(60, 60)
"""Codes from one address that the issuer is asked about, whatever it says: anybody may send them."""


@dataclass(frozen=True)
class CallerLimits:
    """Limits of one console."""

    rates: CallerRates
    windows: Windows
    metrics: ConsoleMetrics

    @classmethod
    def of(cls, settings: ConsoleSettings, clock: Clock, metrics: ConsoleMetrics) -> "CallerLimits":
        """Return the limits of a console that begins. Replicas without a server count each for itself while it is away."""
        windows: Windows = MovingWindows(settings.redis_url, _PREFIX, seconds=SHARED_SECONDS)
        if settings.redis_url:
            windows = LenientWindows(windows, on_failure=metrics.rates_unshared.inc, clock=clock.monotonic)
        return cls(settings.rates, windows, metrics)

    async def take_request(self, caller: Caller, *, starts_run: bool) -> dict[str, str]:
        """Count a request of a caller, and return the headers of its answer. Raises Refusal 429.

        Ids of API keys are unique in their namespace only: those in a file are their users' names.
        """
        key = "/".join(filter(None, (caller.namespace, caller.key_id)))
        headers = await self._take("requests", self.rates.requests, key)
        return headers | (await self._take("runs", self.rates.runs, key) if starts_run else {})

    async def take_failure(self, address: str) -> None:
        """Count a request without a valid token from an address. Raises Refusal 429.

        Valid tokens are never refused for such requests of others, because they are not counted before a token is found wrong.
        """
        await self._take("failed_sign_ins", self.rates.failed_sign_ins, network(address))

    async def take_form(self, address: str) -> None:
        """Count a form with a wrong credential from an address, as ``take_failure`` does requests. Raises Refusal 429."""
        await self._take("failed_forms", _FORMS, network(address))

    async def take_code(self, address: str) -> None:
        """Count a code before the issuer is asked about it. Raises Refusal 429."""
        await self._take("issuer_sign_ins", _CODES, network(address))

    async def _take(self, name: str, rate: CallRate | None, key: str) -> dict[str, str]:
        if rate is None:
            return {}
        verdict = await self.windows.take(rate, name, key)
        if not verdict.allowed:
            self.metrics.rate_limited.labels(name).inc()
            raise _refusal(name, verdict)
        return _headers(verdict)


def _headers(verdict: Verdict) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(verdict.rate.calls),
        "x-ratelimit-remaining-requests": str(verdict.remaining),
        "x-ratelimit-reset-requests": f"{verdict.reset_seconds:.3f}s",
    }


def _refusal(name: str, verdict: Verdict) -> Refusal:
    what = _COUNTED[name]
    rate = f"{verdict.rate.calls} in {verdict.rate.seconds} s"
    return refusals.too_many(f"The limit of {what} is reached: {rate}.", verdict.retry_after, _headers(verdict))

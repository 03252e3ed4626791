"""Rate limits of ToolBindings: moving windows, in this process's memory, or shared by replicas in Valkey or Redis."""

import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.storage import Storage as RateStorage
from limits.aio.strategies import MovingWindowRateLimiter

from sympozium_api.rate_limit import parse_rate
from sympozium_api.tool_binding import ToolBinding
from sympozium_egress.policy.call_policy import CallRefused

log = structlog.get_logger()

_PREFIX = "sympozium-egress"


class CallRates:
    """Counter of the calls of each ToolBinding."""

    def __init__(self, storage: RateStorage) -> None:
        self._limiter = MovingWindowRateLimiter(storage)

    async def count(self, binding: ToolBinding) -> None:
        """Count a call. Raises CallRefused if the binding's rate is reached, or cannot be known."""
        if binding.spec.rate_limit is None:
            return
        rate = parse_rate(binding.spec.rate_limit)
        item = RateLimitItemPerSecond(rate.calls, rate.seconds, _PREFIX)
        try:
            is_free = await self._limiter.hit(item, binding.metadata.uid)
        except Exception as error:  # noqa: BLE001 - each storage has errors of its own
            log.warning("rate limit storage unreachable", error=type(error).__name__)
            raise CallRefused("the tool's rate limit cannot be checked at the moment", "rate_limited") from None
        if not is_free:
            raise CallRefused(f"the tool's rate limit of {binding.spec.rate_limit} is reached", "rate_limited")


def storage_of(url: str) -> RateStorage:
    """Return the storage at a URL such as ``redis://valkey:6379``; empty: this process's memory. Call within the event loop."""
    if not url:
        return MemoryStorage()
    scheme, separator, rest = url.partition("://")
    address = f"async+{scheme.replace('valkey', 'redis')}{separator}{rest}"
    return RedisStorage(
        address, implementation="redispy", key_prefix=_PREFIX, socket_timeout=2, socket_connect_timeout=2
    )

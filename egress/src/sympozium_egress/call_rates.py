"""Rate limits of ToolBindings."""

import structlog

from sympozium_api.rate_limit import parse_rate
from sympozium_api.tool_binding import ToolBinding
from sympozium_egress.policy.call_policy import CallRefused
from sympozium_http.moving_windows import MovingWindows, Windows, WindowsUnavailable

log = structlog.get_logger()

_PREFIX = "sympozium-egress"
_SECONDS = 5.0
"""Longest wait for Valkey or Redis."""


class CallRates:
    """Counter of the calls of each ToolBinding."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    async def count(self, binding: ToolBinding) -> None:
        """Count a call. Raises CallRefused if the binding's rate is reached, or cannot be known."""
        if binding.spec.rate_limit is None:
            return
        try:
            verdict = await self._windows.take(parse_rate(binding.spec.rate_limit), binding.metadata.uid)
        except WindowsUnavailable as error:
            log.warning("rate limit storage unreachable", error=str(error))
            raise CallRefused("the tool's rate limit cannot be checked at the moment", "rate_limited") from None
        if not verdict.allowed:
            raise CallRefused(f"the tool's rate limit of {binding.spec.rate_limit} is reached", "rate_limited")


def windows_of(url: str) -> MovingWindows:
    """Return the windows of calls at a URL such as ``redis://valkey:6379``; empty: in this process's memory."""
    return MovingWindows(url, _PREFIX, seconds=_SECONDS)

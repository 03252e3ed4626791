"""Attempts of one call: retried within its time where another attempt may succeed."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sympozium_egress.outgoing.http_client import Unreachable
from sympozium_egress.policy import retries
from sympozium_egress.policy.tool_result import HttpAnswer


@dataclass(frozen=True)
class Attempts:
    """Maker of attempts: the first and at most ``retries`` others."""

    retries: int
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random
    now: Callable[[], float] = time.monotonic

    async def make(self, attempt: Callable[[], Awaitable[HttpAnswer]], *, deadline: float) -> HttpAnswer:
        """Return the first answer that is final, or the last one. ``deadline`` is on ``now``. Raises Unreachable, CallRefused."""
        for number in range(self.retries + 1):
            retry_after = None
            failure: Unreachable | None = None
            answer: HttpAnswer | None = None
            try:
                answer = await attempt()
            except Unreachable as error:
                failure = error
            if answer is not None and not retries.is_retried(answer.status):
                return answer
            if answer is not None:
                retry_after = retries.retry_after_seconds(answer.retry_after, datetime.now(UTC))
            seconds = retries.delay(
                number, jitter=self.jitter(), retry_after=retry_after, seconds_left=deadline - self.now()
            )
            is_last = number == self.retries or seconds is None or (failure is not None and not failure.retried)
            if is_last and failure is not None:
                raise failure
            if is_last and answer is not None:
                return answer
            await self.sleep(seconds or 0.0)
        raise AssertionError("unreachable")

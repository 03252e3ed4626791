"""``dashboard``: the pool of database connections and the rates of runs, again and again in one place of the terminal."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sympozium_platform.operators.platform_client import Answer, PlatformClient

Write = Callable[[str], object]
"""Takes one line of output."""
_NEWEST = 200
"""Runs that one page of the list has at most."""
_MINUTE = timedelta(minutes=1)
_BAR = 30
"""Characters of a full bar."""
_HOME_AND_CLEAR = "\x1b[H\x1b[2J"


async def dashboard(client: PlatformClient, write: Write, interval: float, *, is_terminal: bool) -> None:
    """Write the state every ``interval`` seconds until the task is cancelled. On a terminal each replaces the one before."""
    while True:
        lines = await state(client, datetime.now(UTC))
        write((_HOME_AND_CLEAR if is_terminal else "") + "\n".join(lines))
        await asyncio.sleep(interval)


async def state(client: PlatformClient, now: datetime) -> list[str]:
    """Return the present state as lines: two requests, one of which counts towards the key's limit."""
    health, runs = await asyncio.gather(
        client.plain("GET", "/health/db"), client.request("GET", f"/runs?limit={_NEWEST}")
    )
    return [f"{now:%H:%M:%S} UTC", *_pool(health), *_rates(runs, now)]


def _pool(health: Answer) -> Iterator[str]:
    pool = health.json()
    if health.status != 200 or not isinstance(pool, dict):
        yield f"pool      {_fault(health)}"
        return
    most, active = pool["pool_size"] + pool["max_overflow"], pool["active_connections"]
    filled = round(_BAR * active / most) if most else 0
    yield f"pool      [{'#' * filled:<{_BAR}}] {pool['usage_percent']} %"
    yield f"          {active} connections of {pool['pool_size']} and {pool['max_overflow']} in overflow are in use"
    yield f"answer    {1000 * health.seconds:.0f} ms"


def _rates(answer: Answer, now: datetime) -> Iterator[str]:
    runs = answer.json()
    if answer.status != 200 or not isinstance(runs, list):
        yield f"runs      {_fault(answer)}"
        return
    recent = [run for run in runs if datetime.fromisoformat(run["created_at"]) > now - _MINUTE]
    more = "at least " if len(recent) == _NEWEST else ""
    statuses = Counter(run["status"] for run in recent)
    yield f"runs      {more}{len(recent)} in the last minute, {answer.headers.get('x-total-count', '?')} in all"
    yield "          " + ", ".join(f"{statuses[word]} {word}" for word in ("queued", "running", "succeeded", "failed"))
    yield f"tokens    {sum(run['total_tokens'] or 0 for run in recent)} in the last minute"
    if limit := answer.headers.get("x-ratelimit-limit-requests"):
        yield f"limit     {answer.headers.get('x-ratelimit-remaining-requests')} of {limit} requests are left to this key"


def _fault(answer: Answer) -> Any:
    return f"{answer.status or 'no answer'}: {answer.message}"

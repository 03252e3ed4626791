"""The web-proxy alone: its process as shipped, before a stand-in for API server and pods that answers at once.

A request's overhead is its time at the caller less the time for which the stand-in had it; what is left are the web-proxy, the network
between the processes and the caller's own work. Requests begin at a fixed rate, however long the earlier ones take. A bare route that
streams the same bytes gets some requests at the same rate, as the yardstick.
"""

import asyncio
import json
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from tests.bench import rates
from tests.bench.bare_route import bare_route
from tests.bench.report import Figures, spread
from tests.bench.requests import BODY
from tests.fakes.api_server import Stamps
from tests.fakes.replica import KEY, Process, running

T = TypeVar("T")

_LONGEST_SECONDS = 30.0
_PROBE_SECONDS = 5
"""Seconds of a load that shows whether a rate is held, short because what is not held leaves a backlog."""
_SECONDS_BELOW = 10
"""Seconds of a load at a lower rate than the one that was asked for."""
_CONTENT = re.compile(rb'"content":"([0-9. ]+)"')


async def measure(*, per_second: int = 200, requests: int = 10_000) -> Figures:
    """Return time, processor time and memory of that many requests at that rate, or at the highest rate below it that is held."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as replica:
        attempts = await rates.held(lambda rate: _load(replica, rate, round(_PROBE_SECONDS * rate)), per_second)
    while True:
        rate = rates.highest(attempts)
        count = requests if rate == per_second else round(_SECONDS_BELOW * rate)
        whole, memory_after = await _whole(rate, count)
        attempts = rates.corrected(attempts, whole)
        if rates.highest(attempts) >= rate:
            break
    last = whole.result
    with tempfile.TemporaryDirectory() as folder, bare_route(Path(folder)) as route:
        bare = (await _load(route, rate, round(_SECONDS_BELOW * rate))).result
    return {
        "overhead_rate": rates.text(attempts, per_second),
        "overhead_bare_route_s": spread([one.total for one in bare.answered]),
        "overhead_s": spread([one.overhead for one in last.answered]),
        "overhead_total_s": spread([one.total for one in last.answered]),
        "overhead_per_second": round(whole.per_second, 1),
        "overhead_cpu_cores": round(last.used / last.lasted, 2),
        "overhead_cpu_ms_per_request": round(1000 * last.used / max(1, len(last.answered)), 2),
        "overhead_memory_mb": {"before": round(last.memory_before, 1), "after": round(memory_after, 1)},
    }


async def _whole(rate: float, count: int) -> tuple[rates.Attempt["_Load"], float]:
    """Send requests to a web-proxy without a backlog of others; return what it did, and its memory in MB afterwards."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as replica:
        await _load(replica, rate, round(_PROBE_SECONDS * rate))
        return await _load(replica, rate, count), replica.resident_mb


async def _load(replica: Process, rate: float, count: int) -> rates.Attempt["_Load"]:
    """Send requests to a web-proxy at a rate."""
    before, used, began = replica.resident_mb, replica.cpu_seconds, time.monotonic()
    async with aclosing(Caller(replica.url)) as caller:
        found = await caller.load(count, rate)
        lasted, used = time.monotonic() - began, replica.cpu_seconds - used
    return rates.Attempt(rate, len(found) / lasted, count - len(found), _Load(found, used, lasted, before))


@dataclass(frozen=True)
class _Seen:
    total: float
    overhead: float


@dataclass(frozen=True)
class _Load:
    answered: list[_Seen]
    used: float
    lasted: float
    memory_before: float


class Caller:
    """Streamed requests over connections that stay open until ``aclose``, with as little work of our own as possible."""

    def __init__(self, url: str) -> None:
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port
        body = json.dumps(BODY).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\n"
        about = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._request = (head + about).encode() + body
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def aclose(self) -> None:
        """Close the connections."""
        for _, writer in self._idle:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in self._idle), return_exceptions=True)

    async def load(self, count: int, per_second: float) -> list[_Seen]:
        """Return the times of those of ``count`` requests that were answered in time."""
        return [seen for seen in await at_rate(self._answered, count, per_second) if seen]

    async def _answered(self) -> _Seen | None:
        """Return the times of a request; None if it was refused, cut off, or not answered in time."""
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                return await self._one()
        except (TimeoutError, OSError, EOFError, AssertionError):
            return None

    async def _one(self) -> _Seen:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        began = time.monotonic()
        writer.write(self._request)
        try:
            answer = await reader.readuntil(b"\r\n0\r\n\r\n")
        except BaseException:
            writer.close()  # so that the web-proxy cancels the run
            raise
        total = time.monotonic() - began
        self._idle.append((reader, writer))
        content = _CONTENT.search(answer)
        assert content, answer
        assert b"data: [DONE]" in answer, answer
        return _Seen(total, total - Stamps(*map(float, content[1].split())).share)


async def at_rate(once: Callable[[], Awaitable[T]], count: int, per_second: float) -> list[T]:
    """The results of ``count`` calls that begin at equal distances."""
    loop = asyncio.get_running_loop()
    began, calls = loop.time(), []
    for number in range(count):
        await asyncio.sleep(began + number / per_second - loop.time())
        calls.append(asyncio.ensure_future(once()))
    return await asyncio.gather(*calls)

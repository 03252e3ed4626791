"""The web-proxy alone: its process as shipped, before a stand-in for API server and pods that answers at once.

A request's overhead is its time at the caller less the time for which the stand-in had it; what is left are the web-proxy, the network
between the processes and the caller's own work. Requests begin at a fixed rate, however long the earlier ones take.
"""

import asyncio
import json
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from tests.bench.report import Figures, spread
from tests.bench.requests import BODY
from tests.fakes.api_server import Stamps
from tests.fakes.replica import KEY, running

T = TypeVar("T")

_WARM_UP = 1000
_CONTENT = re.compile(rb'"content":"([0-9. ]+)"')


async def measure(*, per_second: int = 200, requests: int = 10_000) -> Figures:
    """Time, processor and memory of that many requests."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as replica:
        caller = Caller(replica.url)
        await caller.load(_WARM_UP, per_second)
        before, used, began = replica.resident_mb, replica.cpu_seconds, time.monotonic()
        found = await caller.load(requests, per_second)
        lasted, used = time.monotonic() - began, replica.cpu_seconds - used
        return {
            "overhead_s": spread([one.overhead for one in found]),
            "overhead_total_s": spread([one.total for one in found]),
            "overhead_per_second": round(len(found) / lasted, 1),
            "overhead_cpu_cores": round(used / lasted, 2),
            "overhead_cpu_ms_per_request": round(1000 * used / len(found), 2),
            "overhead_memory_mb": {"before": round(before, 1), "after": round(replica.resident_mb, 1)},
        }


@dataclass(frozen=True)
class _Seen:
    total: float
    overhead: float


class Caller:
    """Streamed requests over connections that stay open, with as little work of our own as possible."""

    def __init__(self, url: str) -> None:
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port
        body = json.dumps(BODY).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\n"
        about = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._request = (head + about).encode() + body
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def load(self, count: int, per_second: int) -> list[_Seen]:
        """Return the times of ``count`` requests."""
        return await at_rate(self._one, count, per_second)

    async def _one(self) -> _Seen:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        began = time.monotonic()
        writer.write(self._request)
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")
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

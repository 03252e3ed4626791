"""The bytes of answers that their readers have not taken."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from starlette.responses import Response
from tests.integration.conftest import eventually, listening

from sympozium_http import byte_budget
from sympozium_http.access_log import AccessLog
from sympozium_http.byte_budget import ByteBudget, HeldBytes
from sympozium_http.request_metrics import RequestMetrics
from sympozium_http.tracing import Tracing

BODY = b"x" * 32_000_000
"""More than the buffers of the two ends take."""


def app(budget: ByteBudget) -> AccessLog:
    return AccessLog(HeldBytes(Response(BODY), budget), RequestMetrics(), Tracing())


async def asked(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that has sent its request, and reads 128 KiB at most by itself."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    return reader, writer


def is_free(budget: ByteBudget) -> Callable[[], bool]:
    return lambda: budget.used == 0


async def test_an_answer_is_counted_until_it_is_read() -> None:
    budget = ByteBudget()
    async with listening(app(budget)) as url:
        reader, writer = await asked(url)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await eventually(lambda: budget.used == len(BODY))
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(len(BODY)) == BODY
        await eventually(is_free(budget))
        writer.close()


async def test_a_client_that_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_budget, "_STUCK_SECONDS", 0.2)
    budget = ByteBudget()
    async with listening(app(budget)) as url:
        _, writer = await asked(url)
        await eventually(lambda: budget.used > 0)
        await eventually(is_free(budget))
        writer.close()

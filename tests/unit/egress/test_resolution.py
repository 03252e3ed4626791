"""Host names as the egress guard's own resolver looks them up."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from sympozium_egress.outgoing.resolution import system_addresses

UNANSWERED = 40
"""Names at a time whose server does not answer."""


async def test_names_that_nobody_answers_for_keep_no_other_one_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        if host.startswith("slow-"):
            given_up.wait(60)
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    waiting = [asyncio.create_task(system_addresses(f"slow-{number}.example.com")) for number in range(UNANSWERED)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert await system_addresses("quick.example.com") == ["192.0.2.1"]
    finally:
        given_up.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, OSError) for result in results)

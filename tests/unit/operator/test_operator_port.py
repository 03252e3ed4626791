"""The operator's own port: metrics and health on IPv4 and IPv6, or on the one that the host has."""

import errno
import socket
from typing import Any

import aiohttp
import pytest

from sympozium_operator.operator_metrics import OperatorMetrics, served


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_metrics_and_health_are_served_on_ipv4_and_ipv6(host: str) -> None:
    port = free_port()
    async with served(OperatorMetrics(), port, lambda: True), aiohttp.ClientSession() as http:
        for path in ("metrics", "healthz"):
            async with http.get(f"http://{host}:{port}/{path}") as response:
                assert response.status == 200


async def test_a_host_whose_ipv6_is_switched_off_is_served_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    class Socket(socket.socket):
        def bind(self, address: Any) -> None:
            if self.family == socket.AF_INET6:
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Socket)
    port = free_port()
    async with (
        served(OperatorMetrics(), port, lambda: True),
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/healthz") as response,
    ):
        assert response.status == 200

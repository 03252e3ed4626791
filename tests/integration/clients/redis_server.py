"""A real Redis, as Debian packages it, in a process of its own."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.clients.conftest import CLIENTS

SERVER = CLIENTS / "redis/usr/bin/redis-server"
ENVIRON = os.environ | {"LD_LIBRARY_PATH": ":".join(map(str, (CLIENTS / "redis/usr/lib").glob("*-linux-gnu")))}


def runs() -> bool:
    """True if the program is installed, and finds its libraries on this machine."""
    if not SERVER.exists():
        return False
    return subprocess.run([SERVER, "--version"], env=ENVIRON, capture_output=True, check=False).returncode == 0


needs_redis = pytest.mark.skipif(not runs(), reason="no redis-server of Debian: local/clients.sh has not run")


@dataclass(frozen=True)
class Redis:
    """A server with a password."""

    url: str
    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    def freeze(self) -> None:
        """Let it accept connections and answer nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def running_redis(folder: Path, port: int = 0) -> AsyncIterator[Redis]:
    with socket.create_server(("127.0.0.1", port)) as listener:
        port = listener.getsockname()[1]
    options = ("--port", str(port), "--bind", "127.0.0.1", "--requirepass", "secret", "--save", "", "--dir", folder)
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(SERVER, *options, env=ENVIRON, stdout=null, stderr=null)
    try:
        async with asyncio.timeout(60):
            while True:
                with suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                await asyncio.sleep(0.02)
        yield Redis(f"redis://:secret@127.0.0.1:{port}", process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

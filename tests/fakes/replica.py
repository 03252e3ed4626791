"""A web-proxy in a process of its own, as its image starts it, in front of the API server in memory in another one.

``python -m tests.fakes.replica KEYS PORT PORT SECONDS`` is that process: the folder of its keys, where it listens, and its patience with
slow senders. SIGUSR1 lets it write how many asyncio tasks it has.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import uvloop

from sympozium_api import logs, names
from sympozium_api.client import ApiConnection
from sympozium_http.request_limits import RECEIVE_SECONDS, HeaderLimits
from sympozium_webproxy import __main__ as web_proxy
from sympozium_webproxy.settings import WebProxySettings

KEY = "sk-test"
_START_SECONDS = 60.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A server in a process of its own, as it is seen from outside."""

    url: str
    pid: int

    @property
    def resident_mb(self) -> float:
        """Its memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE / 1024**2

    @property
    def peak_mb(self) -> float:
        """The most memory that it has had."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 1024

    @property
    def cpu_seconds(self) -> float:
        """Processor time since its start."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK


@dataclass(frozen=True)
class Replica(Process):
    """A web-proxy's process."""

    surface: str
    metrics_url: str
    folder: Path

    @property
    def descriptors(self) -> int:
        """Its open files and sockets."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def tasks(self) -> int:
        """Its asyncio tasks."""
        told = self.folder / "tasks"
        told.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        _until(told.exists)
        return int(told.read_text())


@contextmanager
def running(folder: Path, *, receive_seconds: float = RECEIVE_SECONDS) -> Iterator[Replica]:
    """A web-proxy that is ready, and its API server."""
    with api_server(folder), started(folder, receive_seconds=receive_seconds) as found:
        yield found


@contextmanager
def api_server(folder: Path) -> Iterator[None]:
    """An API server that listens, as ``folder/kubeconfig`` says."""
    with _process("tests.fakes.api_server", str(folder), log=folder / "api-server.log"):
        _until((folder / "kubeconfig").exists)
        yield


@contextmanager
def started(folder: Path, *, receive_seconds: float = RECEIVE_SECONDS) -> Iterator[Replica]:
    """A web-proxy that is ready, in front of the API server of ``folder/kubeconfig``."""
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    (keys / "api-key").write_text(KEY)
    ports = free_ports()
    kubeconfig = {"KUBECONFIG": str(folder / "kubeconfig")}
    words = (str(keys), *map(str, ports), str(receive_seconds))
    with _process("tests.fakes.replica", *words, log=folder / "web-proxy.log", environ=kubeconfig) as process:
        found = Replica(_address(ports[0]), process.pid, _address(ports[1]), _address(ports[2]), folder)
        _until(lambda: _is_ready(found.url))
        yield found


@contextmanager
def started_process(
    url: str, module: str, *words: str, log: Path, environ: dict[str, str] | None = None
) -> Iterator[Process]:
    """Run a module that serves ``url``, and yield its process once it is ready."""
    with _process(module, *words, log=log, environ=environ) as process:
        _until(lambda: _is_ready(url))
        yield Process(url, process.pid)


@contextmanager
def _process(
    module: str, *words: str, log: Path, environ: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words], stdout=output, stderr=output, env=os.environ | (environ or {})
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def free_ports() -> tuple[int, int, int]:
    """Ports of the loopback interface on which nobody listens, for clients, agent pods and Prometheus."""
    with ExitStack() as sockets:
        first, second, third = (sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3))
        return first.getsockname()[1], second.getsockname()[1], third.getsockname()[1]


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=1).status_code == 200
    except httpx2.TransportError:
        return False


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def serve(
    keys: Path, http_port: int, runs_port: int, metrics_port: int, receive_seconds: float = RECEIVE_SECONDS
) -> None:
    """Be a web-proxy until ended."""
    names.HTTP_PORT, names.RUNS_PORT, names.METRICS_PORT = http_port, runs_port, metrics_port
    url = json.loads(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]["server"]
    # as light as in a pod, where no kubeconfig is read
    web_proxy.from_environment = lambda: ApiConnection(url, ssl=False)  # type: ignore[attr-defined]
    HeaderLimits.receive_seconds = receive_seconds
    (keys / "session-key").write_text("5" * 64)
    settings = WebProxySettings("default", "demo", "127.0.0.1", api_keys=keys, session_key=keys / "session-key")

    async def counted() -> None:
        def tell() -> None:
            (keys.parent / "tasks.new").write_text(str(len(asyncio.all_tasks())))
            (keys.parent / "tasks.new").rename(keys.parent / "tasks")

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell)
        await web_proxy.main(settings)

    logs.configure(namespace=settings.namespace, instance=settings.instance)
    uvloop.run(counted())


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))

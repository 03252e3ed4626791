"""Web-proxies in processes of their own, in front of an API server in this one, that can be killed at any moment.

They are forked from a process that has imported everything, so that one is ready in a fraction of a second.
"""

import asyncio
import multiprocessing
import os
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx2
from tests.fakes.replica import KEY, free_ports, serve
from tests.fakes.service import Service

_START_SECONDS = 60.0
_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload([__name__])


@dataclass(eq=False)
class Replica:
    """One of them."""

    url: str
    surface: str
    metrics_url: str
    process: ForkServerProcess
    http: httpx2.AsyncClient

    async def idle(self) -> int:
        """Return the number of idle pods that poll it."""
        return await self.metric("sympozium_idle_pods")

    async def metric(self, name: str) -> int:
        """One of its gauges."""
        lines = (await self.http.get(f"{self.metrics_url}/metrics")).text.splitlines()
        return next(int(float(line.split()[1])) for line in lines if line.startswith(f"{name} "))


class Replicas:
    """All of an instance's; ``service`` leads to the runs surfaces of those that are ready."""

    def __init__(self, folder: Path, kubeconfig: Path, service: Service, http: httpx2.AsyncClient) -> None:
        self.ready: list[Replica] = []
        self._folder = folder
        self._kubeconfig = kubeconfig
        self._service = service
        self._http = http
        self._keys = folder / "keys"
        self._keys.mkdir()
        (self._keys / "api-key").write_text(KEY)

    async def start(self) -> Replica:
        """Another one, as soon as it is ready."""
        ports = free_ports()
        log = self._folder / f"web-proxy-{ports[0]}.log"
        process = _forking.Process(target=_run, args=(self._keys, ports, self._kubeconfig, log), daemon=True)
        await asyncio.to_thread(process.start)
        url, surface, metrics_url = (f"http://127.0.0.1:{port}" for port in ports)
        found = Replica(url, surface, metrics_url, process, self._http)
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._is_ready(found):
                    assert process.is_alive(), log.read_text()
                    await asyncio.sleep(0.02)
        except BaseException:
            process.kill()
            raise
        self.ready.append(found)
        self._service.endpoints.append(surface)
        return found

    def kill(self, replica: Replica) -> None:
        """End one without a warning; its sockets are closed as the kernel closes them."""
        self.ready.remove(replica)
        self._service.endpoints.remove(replica.surface)
        replica.process.kill()
        replica.process.join()

    async def _is_ready(self, replica: Replica) -> bool:
        try:
            return (await self._http.get(f"{replica.url}/readyz")).status_code == 200
        except httpx2.TransportError:
            return False


def _run(keys: Path, ports: tuple[int, int, int], kubeconfig: Path, log: Path) -> None:
    with log.open("wb") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    os.environ["KUBECONFIG"] = str(kubeconfig)
    serve(keys, *ports)

"""The yardsticks: a Job of the same image that does nothing but say that it runs, without and with a volume."""

import asyncio
import itertools
import json
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tests.e2e.conftest import Namespace

from sympozium_api.client import ApiError, ApiUnavailable, Client, from_environment
from sympozium_api.resources import JOBS


class BareJobs:
    """Makes Jobs whose first line is a connection to us."""

    def __init__(
        self,
        namespace: Namespace,
        image: str,
        *,
        token: bool,
        pod: Mapping[str, Any] | None = None,
        prefix: str = "job",
        imports: str = "socket",
    ) -> None:
        """``token``: its pod has the API token that Kubernetes mounts by default, and so a volume to wait for.

        ``pod``: its spec, whose container's command is replaced; None: a pod without further settings. ``prefix``: begin of the Jobs'
        names. ``imports``: module that Python imports before its first line.
        """
        self.namespace = namespace
        self._pod = pod or {"containers": [{"image": image}], "automountServiceAccountToken": token}
        self._prefix = prefix
        self._imports = imports
        self._numbers = itertools.count()

    async def first_line(self) -> float:
        """Seconds from the Job's creation to the first line of its Python."""
        async with Client.connect(from_environment()) as client:
            return await self._first_line(client)

    async def _first_line(self, client: Client) -> float:
        said = asyncio.get_running_loop().create_future()

        async def hear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not said.done():
                said.set_result(time.perf_counter())
            writer.close()

        server = await asyncio.start_server(hear, "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            began = time.perf_counter()
            await client.create(JOBS, self.namespace.name, self._job(f"{_own_address()}:{port}"))
            ended: float = await asyncio.wait_for(said, 60)
        finally:
            server.close()
        return ended - began

    async def burst(self, count: int, *, concurrency: int) -> tuple[list[float], float]:
        """Return the seconds of each of ``count`` Jobs, made by ``concurrency`` callers, and those until the last first line.

        A Job that says nothing within a minute is left out.
        """
        slots, lines, ended = asyncio.Semaphore(concurrency), list[float](), 0.0

        async def one(client: Client) -> None:
            nonlocal ended
            async with slots:
                with suppress(TimeoutError, ApiError, ApiUnavailable):
                    lines.append(await self._first_line(client))
                    ended = time.perf_counter() - began

        async with Client.connect(from_environment()) as client:  # one for all: connecting is not what a Job costs
            began = time.perf_counter()
            await asyncio.gather(*(one(client) for _ in range(count)))
            return lines, ended or time.perf_counter() - began

    def _job(self, address: str) -> dict[str, object]:
        host, port = address.split(":")
        say = f"import {self._imports}, socket; socket.create_connection(({json.dumps(host)}, {port}))"
        container = self._pod["containers"][0] | {"name": "bare", "command": ["python", "-I", "-c", say]}
        pod = {**self._pod, "restartPolicy": "Never", "containers": [container]}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"{self._prefix}-{next(self._numbers)}"},
            "spec": {"backoffLimit": 0, "template": {"spec": pod}},
        }


def _own_address() -> str:
    """The address under which pods see this process: the one from which it would speak to the cluster's DNS Service."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("10.96.0.10", 53))
        address: str = probe.getsockname()[0]
        return address

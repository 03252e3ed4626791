"""The memory of a web-proxy that holds much: callers that wait with long questions, and long answers under way.

The web-proxy is a process of its own, in front of an API server in memory; the benchmark is the callers and the pods. Half of
the streams' callers read nothing, and each stream can be joined by its Idempotency-Key, so that its records are kept.
"""

import asyncio
import json
import re
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from tests.bench.report import Figures
from tests.fakes.api_server import ApiServer, instance_at, kubeconfig, listening
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import FakePod, TokenIssuer, delta
from tests.fakes.replica import KEY, Replica, started

from sympozium_api.resources import RUNS, Object

_BYTES = 1_000_000
_TOKENS = 32_000
_PER_SECOND = 15
_HEADERS = {"Authorization": f"Bearer {KEY}"}


async def measure(*, waiting: int = 200, streams: int = 20) -> Figures:
    """Resident memory of a web-proxy before and with these callers, and the peak of one that starts then."""
    kubernetes = FakeKubernetes()
    issuer = TokenIssuer(kubernetes)
    with tempfile.TemporaryDirectory() as name, _api_server(kubernetes) as url:
        folder = Path(name)
        (folder / "kubeconfig").write_text(json.dumps(kubeconfig(url)))
        with started(folder) as replica:
            idle = replica.resident_mb
            async with httpx2.AsyncClient(timeout=None, limits=httpx2.Limits(max_connections=None)) as http:
                asking = [asyncio.create_task(_stream(http, replica, number)) for number in range(streams)]
                runs = await _created(kubernetes, streams)
                pods = [asyncio.create_task(_answer(run, issuer, replica)) for run in runs]
                for number in range(waiting):
                    asking.append(asyncio.create_task(_wait(http, replica)))
                    await asyncio.sleep((number % _PER_SECOND == 0) * 1.0)
                await _created(kubernetes, streams + waiting)
                await asyncio.sleep(5)
                held, counted = replica.resident_mb, await _counted(http, replica)
                figures = await asyncio.to_thread(_started_then, folder)
                for task in (*asking, *pods):
                    task.cancel()
                await asyncio.gather(*asking, *pods, return_exceptions=True)
    memory = {"idle": round(idle, 1), "held": round(held, 1), "counted": round(counted / 2**20, 1), **figures}
    return {"held_callers": {"waiting": waiting, "streams": streams}, "held_mb": memory}


def _started_then(folder: Path) -> dict[str, float]:
    with started(folder) as late:
        return {"start": round(late.resident_mb, 1), "start_peak": round(late.peak_mb, 1)}


@contextmanager
def _api_server(kubernetes: FakeKubernetes) -> Iterator[str]:
    """An API server without pods, in a thread, because the benchmark waits for its processes."""
    loop, ready, url = asyncio.new_event_loop(), threading.Event(), list[str]()

    async def serve() -> None:
        async with listening(ApiServer(kubernetes).app()) as address:
            url.append(address)
            ready.set()
            await asyncio.Event().wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    threading.Thread(target=run, daemon=True).start()
    ready.wait()
    kubernetes.put(instance_at(url[0]))
    yield url[0]


async def _wait(http: httpx2.AsyncClient, replica: Replica) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * _BYTES}}
    body = {"messages": [{"role": "user", "content": [image]}]}
    while (await http.post(f"{replica.url}/v1/chat/completions", json=body, headers=_HEADERS)).status_code == 503:
        await asyncio.sleep(1)  # as SDKs do


async def _stream(http: httpx2.AsyncClient, replica: Replica, number: int) -> None:
    body = {"messages": [{"role": "user", "content": f"hello {number}"}], "stream": True}
    headers = _HEADERS | {"Idempotency-Key": f"stream-{number}"}
    async with http.stream("POST", f"{replica.url}/v1/chat/completions", json=body, headers=headers) as response:
        async for _ in response.aiter_raw():
            if number % 2:
                await asyncio.Event().wait()  # a caller that reads no further


async def _answer(run: Object, issuer: TokenIssuer, replica: Replica) -> None:
    pod = FakePod(run, issuer, replica.surface)
    await pod.task()

    async def records() -> AsyncIterator[bytes]:
        yield b'{"type": "started"}\n'
        record = delta(" word") | {"about": {"system_fingerprint": "fp_44709d6fcb", "service_tier": "default"}}
        lines = (json.dumps(record) + "\n").encode() * 100
        for _ in range(_TOKENS // 100):
            yield lines
        await asyncio.Event().wait()  # the answer stays under way

    await pod.post(records(), timeout=None)


async def _created(kubernetes: FakeKubernetes, count: int) -> list[Object]:
    async with asyncio.timeout(120):
        while len(kubernetes.names(RUNS)) < count:
            await asyncio.sleep(0.1)
    return [kubernetes.object(RUNS, name) for name in kubernetes.names(RUNS)[:count]]


async def _counted(http: httpx2.AsyncClient, replica: Replica) -> float:
    text: Any = (await http.get(f"{replica.metrics_url}/metrics")).text
    found = re.search(r"^sympozium_held_bytes (\S+)$", text, re.MULTILINE)
    assert found
    return float(found[1])

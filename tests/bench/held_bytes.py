"""The memory of a web-proxy that holds much: callers that wait with long questions, and long answers under way.

The web-proxy is a process of its own, in front of an API server in memory; the benchmark is the callers and the pods. Half of
the streams' callers read nothing, and each stream can be joined by its Idempotency-Key, so that its records are kept.
"""

import asyncio
import json
import re
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tests.bench.report import Figures
from tests.fakes.api_server import ApiServer, instance_at, kubeconfig, listening
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.pod import FakePod, TokenIssuer, delta
from tests.fakes.replica import KEY, Replica, started

from sympozium_api.resources import RUNS, Object

GOAL_MB = 200
"""Of the process, while it holds all this, and of one that starts then."""
_BYTES = 1_000_000
_PER_SECOND = 15
_LONGEST_SECONDS = 600
"""For all callers to come and for all tokens to arrive, on a machine that does other work."""
_HEADERS = {"Authorization": f"Bearer {KEY}"}


@dataclass
class _Progress:
    """What has passed through the web-proxy so far, and what shall."""

    streams: int
    tokens: int
    sent: int = 0
    """Tokens that the pods have sent."""
    read: dict[int, int] = field(default_factory=dict)
    """Tokens that each of the callers that read has got."""

    def is_complete(self) -> bool:
        """True once every pod has sent its answer so far, and the callers that read have it."""
        return self.sent == self.streams * self.tokens and set(self.read.values()) == {self.tokens}


async def measure(*, waiting: int = 200, streams: int = 20, tokens: int = 32_000) -> Figures:
    """Memory of a web-proxy before and with these callers, and of one that starts then."""
    kubernetes = FakeKubernetes()
    issuer, progress = TokenIssuer(kubernetes), _Progress(streams, tokens)
    with tempfile.TemporaryDirectory() as name, _api_server(kubernetes) as url:
        folder = Path(name)
        (folder / "kubeconfig").write_text(json.dumps(kubeconfig(url)))
        with started(folder) as replica:
            figures = {"idle": replica.resident_mb}
            async with httpx2.AsyncClient(timeout=None, limits=httpx2.Limits(max_connections=None)) as http:
                asking = [asyncio.create_task(_stream(http, replica, number, progress)) for number in range(streams)]
                await _until(lambda: len(kubernetes.names(RUNS)) == streams)
                runs = [kubernetes.object(RUNS, name) for name in kubernetes.names(RUNS)]
                pods = [asyncio.create_task(_answer(run, issuer, replica, progress)) for run in runs]
                for number in range(waiting):
                    asking.append(asyncio.create_task(_wait(http, replica)))
                    await asyncio.sleep((number % _PER_SECOND == 0) * 1.0)
                await _until(lambda: len(kubernetes.names(RUNS)) == streams + waiting and progress.is_complete())
                await asyncio.sleep(2)
                figures |= {"held": replica.resident_mb, "peak": replica.peak_mb}
                figures["counted"] = await _counted(http, replica) / 2**20
                figures |= await asyncio.to_thread(_started_then, folder)
                for task in (*asking, *pods):
                    task.cancel()
                await asyncio.gather(*asking, *pods, return_exceptions=True)
    memory = {name: round(value, 1) for name, value in figures.items()}
    return {"held_callers": {"waiting": waiting, "streams": streams}, "held_mb": memory}


def _started_then(folder: Path) -> dict[str, float]:
    with started(folder) as late:
        return {"start": late.resident_mb, "start_peak": late.peak_mb}


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


async def _stream(http: httpx2.AsyncClient, replica: Replica, number: int, progress: _Progress) -> None:
    body = {"messages": [{"role": "user", "content": f"hello {number}"}], "stream": True}
    headers = _HEADERS | {"Idempotency-Key": f"stream-{number}"}
    async with http.stream("POST", f"{replica.url}/v1/chat/completions", json=body, headers=headers) as response:
        if number % 2:
            await asyncio.Event().wait()  # a caller that reads nothing
        progress.read[number] = 0
        async for line in response.aiter_lines():
            progress.read[number] += line.count(" word")  # a piece for each token, or larger ones


async def _answer(run: Object, issuer: TokenIssuer, replica: Replica, progress: _Progress) -> None:
    pod = FakePod(run, issuer, replica.surface)
    await pod.task()

    async def records() -> AsyncIterator[bytes]:
        yield b'{"type": "started"}\n'
        record = delta(" word") | {"about": {"system_fingerprint": "fp_44709d6fcb", "service_tier": "default"}}
        lines = (json.dumps(record) + "\n").encode() * 100
        for _ in range(progress.tokens // 100):
            yield lines
            progress.sent += 100
        await asyncio.Event().wait()  # the answer stays under way

    await pod.post(records(), timeout=None)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_LONGEST_SECONDS):
        while not holds():
            await asyncio.sleep(0.1)


async def _counted(http: httpx2.AsyncClient, replica: Replica) -> float:
    text: Any = (await http.get(f"{replica.metrics_url}/metrics")).text
    found = re.search(r"^sympozium_held_bytes (\S+)$", text, re.MULTILINE)
    assert found
    return float(found[1])

"""``python -m tests.bench.run_pages``: pages over an index of many runs: how long the console takes for one, and how many bytes a first
load has. No cluster: the processes are those of ``run_index``.
"""

import argparse
import asyncio
import json
import logging
import re
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle, islice
from pathlib import Path

import httpx2
import uvloop
from tests.bench.index_processes import WATCHES
from tests.bench.machine import additions
from tests.bench.run_index import ConsoleProcess, api_server_process, console_process

log = logging.getLogger(__name__)

_LISTS = (
    "/runs",
    "/runs?phase=Failed",
    "/runs?instance=agent-3",
    "/runs?source=mcp&phase=Succeeded",
    "/runs?user=nobody",
    "/runs?namespace=team-1",
    "/runs?since=2026-01-01T01:00:00Z&until=2026-01-01T02:00:00Z",
    "/runs?q=12",
)
_OTHERS = ("/usage?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", "/")
_LINKED = re.compile(r'(?:href|src)="(/static/[^"#]+)"')
_IMPORTED = re.compile(r'from"?\s*"([^"]+)"|import\s*"([^"]+)"')


_STREAMS = ("instances", "runs", "skills", "config", "instances,runs")
"""Kinds of the streams that open pages hold, in turn."""


async def figures(runs: int, pages: int, open_pages: int, seconds: float) -> dict[str, object]:
    """Return milliseconds per page, as a browser on the same machine waits for its last byte, the bytes of a first load, and what open
    pages cost while nothing changes, in cores, over that many seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with (
            api_server_process(Path(folder) / "api", runs, 0) as url,
            console_process(Path(folder) / "console", url) as console,
        ):
            lists = await _timed(console.http, _LISTS, pages)
            others = {path.partition("?")[0]: await _timed(console.http, (path,), pages // 5) for path in _OTHERS}
            sizes = await _first_load(console.http, "/runs")
            at_rest = await _at_rest(console, url, open_pages, seconds)
    return {
        "runs": runs,
        "list": _percentiles(lists),
        **{path: _percentiles(found) for path, found in others.items()},
        "first_load_bytes": sizes,
        "open_pages": at_rest,
        "million_additions_ms": round(additions() * 1000, 1),
    }


async def _at_rest(console: ConsoleProcess, api_server: str, pages: int, seconds: float) -> dict[str, object]:
    found: dict[str, object] = {"none_cores": await _cores(console, seconds)}
    async with AsyncExitStack() as streams, httpx2.AsyncClient(base_url=api_server) as http:
        before = (await http.get(WATCHES)).json()
        for kinds in islice(cycle(_STREAMS), pages):
            await streams.enter_async_context(_open_page(console.http, kinds))
        found[f"{pages}_cores"] = await _cores(console, seconds)
        found["watches"] = now = (await http.get(WATCHES)).json()
        found["watches_of_pages"] = sum(now.values()) - sum(before.values())
    return found


@asynccontextmanager
async def _open_page(http: httpx2.AsyncClient, kinds: str) -> AsyncIterator[None]:
    """Hold the stream of a page."""

    async def read() -> None:
        async for _ in response.aiter_raw():
            pass

    async with http.stream("GET", f"/api/v1/watch?kinds={kinds}", timeout=None) as response:
        assert response.status_code == 200
        reading = asyncio.create_task(read())
        yield
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _cores(console: ConsoleProcess, seconds: float) -> float:
    """Return the cores that the console uses for so many seconds, the first few of which do not count."""
    await asyncio.sleep(3)
    before, began = console.processor_seconds(), time.monotonic()
    await asyncio.sleep(seconds)
    return round((console.processor_seconds() - before) / (time.monotonic() - began), 4)


async def _timed(http: httpx2.AsyncClient, paths: tuple[str, ...], count: int) -> list[float]:
    found = list[float]()
    for path in islice(cycle(paths), count):
        began = time.perf_counter()
        answer = await http.get(path)
        found.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.text
    return found


def _percentiles(found: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(found, n=100)
    return {"p50_ms": round(cuts[49], 1), "p95_ms": round(cuts[94], 1), "n": len(found)}


async def _first_load(http: httpx2.AsyncClient, path: str) -> dict[str, int]:
    """Return the compressed bytes of a page and of all that it loads, by kind."""
    page = await http.get(path)
    sizes = {"html": await _bytes(http, path)}
    left, seen = set(_LINKED.findall(page.text)), set[str]()
    left |= {address.partition("#")[0] for address in re.findall(r'<use href="([^"]+)"', page.text)}
    while left - seen:
        address = (left - seen).pop()
        seen.add(address)
        kind = address.rpartition(".")[2]
        sizes[kind] = sizes.get(kind, 0) + await _bytes(http, address)
        if kind == "js" and "vendor" not in address:
            text = (await http.get(address)).text
            for one, other in _IMPORTED.findall(text):
                left.add(str(httpx2.URL(address).join(one or other)))
    return sizes | {"all": sum(sizes.values())}


async def _bytes(http: httpx2.AsyncClient, address: str) -> int:
    async with http.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.status_code == 200, address
        return sum([len(chunk) async for chunk in answer.aiter_raw()])


def main() -> None:
    """Print the figures."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--open-pages", type=int, default=50)
    parser.add_argument("--rest", type=float, default=30, help="seconds in which nothing changes")
    args = parser.parse_args()
    found = uvloop.run(figures(args.runs, args.pages, args.open_pages, args.rest))
    log.info("%s", json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

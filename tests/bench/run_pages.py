"""``python -m tests.bench.run_pages``: pages over an index of many runs: how long the console takes for one, and how many bytes a first
load has. No cluster: the processes are those of ``run_index``.
"""

import argparse
import json
import logging
import re
import statistics
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import httpx2
import uvloop
from tests.bench.machine import additions
from tests.bench.run_index import api_server_process, console_process

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


async def figures(runs: int, pages: int) -> dict[str, object]:
    """Return milliseconds per page, as a browser on the same machine waits for its last byte, and the bytes of a first load."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            api_server_process(Path(folder) / "api", runs, 0) as url,
            console_process(Path(folder) / "console", url) as console,
        ):
            lists = await _timed(console.http, _LISTS, pages)
            others = {path.partition("?")[0]: await _timed(console.http, (path,), pages // 5) for path in _OTHERS}
            sizes = await _first_load(console.http, "/runs")
    return {
        "runs": runs,
        "list": _percentiles(lists),
        **{path: _percentiles(found) for path, found in others.items()},
        "first_load_bytes": sizes,
        "million_additions_ms": round(additions() * 1000, 1),
    }


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
    args = parser.parse_args()
    found = uvloop.run(figures(args.runs, args.pages))
    log.info("%s", json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

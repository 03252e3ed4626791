"""``python -m tests.bench.run_index``: what the console's index of runs costs, and how fast it is.

No cluster: the API server is the one in memory, in a process of its own, with as many ended runs as ``--runs`` says. The console is
the real one in another process, started in turn with no runs and with all of them. The seconds of the list are the API server's in
memory, too: it is slower than the real one, so processor seconds of the console are told beside them.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx2
import uvloop
from tests.bench.index_processes import OPEN_RUNS
from tests.bench.machine import additions

from sympozium_api.resources import RUNS

log = logging.getLogger(__name__)

_TICK = os.sysconf("SC_CLK_TCK")
_HEADERS = {"Authorization": "Bearer secret"}
_LISTS = (
    "",
    "&limit=500",
    "&phase=Failed",
    "&instance=agent-3",
    "&source=mcp&phase=Succeeded",
    "&user=nobody",
    "&namespace=team-1",
    "&since=2026-01-01T01:00:00Z&until=2026-01-01T02:00:00Z",
)
"""Parameters of lists, each with its numbers of runs."""
_WHOLE_WITHIN = 600.0


@dataclass(frozen=True)
class IndexFigures:
    """Figures of one size of the index."""

    runs: int
    whole_seconds: float
    """From the start of the process until the first list answers."""
    whole_cpu_seconds: float
    """Processor seconds of the console until then, without those of an index without runs."""
    extra_mb: float
    """Resident memory beyond that of an index without runs."""
    file_mb: float
    list_p50_ms: float
    list_p95_ms: float
    list_cpu_ms: float
    """Processor time of the console for one list with its numbers of runs, on average."""
    lists: int
    change_p50_ms: float
    change_p95_ms: float
    changes: int
    million_additions_ms: float
    """Processor time of a loop, at the same time: what the machine is worth. 25 on a quiet core of the usual machine."""


@dataclass
class ConsoleProcess:
    """A console in a process of its own."""

    pid: int
    http: httpx2.AsyncClient
    folder: Path
    whole_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def resident_mb(self, *, most: bool = False) -> float:
        """Resident memory now, or the most since the start."""
        name = "VmHWM:" if most else "VmRSS:"
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(name))) / 1024

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    async def first_page(self) -> httpx2.Response:
        return await self.http.get("/api/v1/runs?order=newest&limit=1")


@contextlib.contextmanager
def _process(folder: Path, role: str, *what: str) -> Iterator[int]:
    folder.mkdir()
    command = [sys.executable, "-m", "tests.bench.index_processes", str(folder), role, *what]
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


async def _url(folder: Path, within: float = 120) -> str:
    """Return a process's URL as soon as it listens."""
    async with asyncio.timeout(within):
        while not (url := _text(folder / "url")):
            await asyncio.sleep(0.02)
    return url


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@contextlib.asynccontextmanager
async def api_server_process(folder: Path, runs: int, open_runs: int, role: str = "runs") -> AsyncIterator[str]:
    """An API server in memory, by its URL. With role ``callers`` it has instances and API keys instead of runs."""
    with _process(folder, role, str(runs), str(open_runs)):
        yield await _url(folder)


@contextlib.asynccontextmanager
async def console_process(folder: Path, api_server: str, database_url: str = "") -> AsyncIterator[ConsoleProcess]:
    """Start a console, with an archive in a database if one is named, and wait until its index is whole."""
    began = time.monotonic()
    with _process(folder, "console", api_server, database_url) as pid:
        url = await _url(folder)
        async with httpx2.AsyncClient(base_url=url, headers=_HEADERS, timeout=30) as http:
            console = ConsoleProcess(pid, http, folder)
            async with asyncio.timeout(_WHOLE_WITHIN):
                while (response := await console.first_page()).status_code == 503:
                    assert response.json()["error"]["reason"] == "Reading", response.text
                    await asyncio.sleep(0.2)
            assert response.status_code == 200, response.text
            console.whole_seconds, console.cpu_seconds = time.monotonic() - began, console.processor_seconds()
            yield console


async def _list_ms(console: ConsoleProcess, times: int) -> list[float]:
    found = list[float]()
    for parameters in islice(cycle(_LISTS), times):
        began = time.monotonic()
        response = await console.http.get(f"/api/v1/runs?order=newest{parameters}")
        found.append(1000 * (time.monotonic() - began))
        assert response.status_code == 200, response.text
    return found


async def _change_ms(console: ConsoleProcess, api_server: str, times: int) -> list[float]:
    """Change open runs at the API server; return how long after each write's answer a list shows it."""
    found = list[float]()
    async with httpx2.AsyncClient(base_url=api_server, timeout=30) as server:
        for number in range(times):
            name = f"open-{number}"
            path = RUNS.path("default", name, "status")
            headers = {"Content-Type": "application/merge-patch+json"}
            response = await server.patch(path, json={"status": {"phase": "Running"}}, headers=headers)
            assert response.status_code == 200, response.text
            began = time.monotonic()
            while name not in await _running(console):
                assert time.monotonic() - began < 10
                await asyncio.sleep(0.005)
            found.append(1000 * (time.monotonic() - began))
    return found


async def _running(console: ConsoleProcess) -> set[str]:
    page = (await console.http.get("/api/v1/runs?order=newest&phase=Running&limit=500")).json()
    return {run["name"] for run in page["items"]}


async def measure(runs: int, *, lists: int = 200, changes: int = 50) -> IndexFigures:
    """Return the figures of an index of so many runs."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            api_server_process(Path(folder) / "none", 0, 0) as server,
            console_process(Path(folder) / "empty", server) as empty,
        ):
            await _list_ms(empty, len(_LISTS))
            resting_mb, resting_cpu = empty.resident_mb(), empty.cpu_seconds
        async with (
            api_server_process(Path(folder) / "all", runs, OPEN_RUNS) as server,
            console_process(Path(folder) / "full", server) as full,
        ):
            changed = await _change_ms(full, server, changes)
            before = full.processor_seconds()
            listed = await _list_ms(full, lists)
            list_cpu_ms = 1000 * (full.processor_seconds() - before) / len(listed)
            counted = (await full.first_page()).json()["counts"]["runs"]
            assert counted == runs + OPEN_RUNS, f"{counted} of {runs + OPEN_RUNS}"
            return IndexFigures(
                runs=runs,
                whole_seconds=round(full.whole_seconds, 1),
                whole_cpu_seconds=round(full.cpu_seconds - resting_cpu, 2),
                extra_mb=round(full.resident_mb() - resting_mb, 1),
                file_mb=round(sum(file.stat().st_size for file in full.folder.glob("*.db*")) / 1e6, 1),
                list_p50_ms=round(statistics.median(listed), 1),
                list_p95_ms=round(_p95(listed), 1),
                list_cpu_ms=round(list_cpu_ms, 1),
                lists=len(listed),
                change_p50_ms=round(statistics.median(changed), 1),
                change_p95_ms=round(_p95(changed), 1),
                changes=len(changed),
                million_additions_ms=round(1000 * additions(), 1),
            )


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    log.setLevel(logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    log.info("%s", json.dumps(asdict(uvloop.run(measure(parser.parse_args().runs)))))

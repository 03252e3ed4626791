"""``python -m tests.bench.archiver``: how fast the console archives runs, and what that takes, on SQLite and on PostgreSQL.

No cluster: the API server is the one in memory, in a process of its own, and so is the console. ``catch-up``: so many runs of 4 KB
ended while the console was away. ``ends``: runs end at a fixed rate; the seconds from the API server's answer to the row that says so.
The API server in memory is slower than the real one, and takes processor time of its own.
"""

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import uvloop
from sqlalchemy import func, select
from tests.bench.archive import DATABASES, opened
from tests.bench.machine import additions
from tests.bench.overhead import at_rate
from tests.bench.report import Figures, spread
from tests.bench.run_index import ConsoleProcess, api_server_process, console_process

from sympozium_api.resources import RUNS
from sympozium_archive.database import Database
from sympozium_archive.run_rows import RunRows
from sympozium_archive.tables import run_contents

PARTS = ("catch-up", "ends")
ANSWER = "x" * 4096
_PATIENCE = 900.0
_POLL_SECONDS = 0.05


async def stored_contents(database: Database) -> int:
    """Return the number of contents in the archive."""
    async with database.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(run_contents)) or 0)


async def all_stored(database: Database, runs: int) -> None:
    """Wait until the archive has the contents of so many runs."""
    async with asyncio.timeout(_PATIENCE):
        while await stored_contents(database) < runs:
            await asyncio.sleep(_POLL_SECONDS)


async def catch_up(kind: str, runs: int) -> Figures:
    """Measure a console that finds so many ended runs."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(kind) as (database, _), api_server_process(Path(folder) / "runs", runs, 0) as server:
            began, url = time.monotonic(), database.settings.url.render_as_string(hide_password=False)
            async with console_process(Path(folder) / "console", server, url) as console:
                await all_stored(database, runs)
                return {
                    "runs": runs,
                    "index_whole_s": round(console.whole_seconds, 1),
                    "index_whole_cpu_s": round(console.cpu_seconds, 1),
                    "all_archived_s": round(time.monotonic() - began, 1),
                } | used(console)


def used(console: ConsoleProcess) -> Figures:
    """Return the console's processor time and most memory, since its start, and what the machine is worth."""
    return {
        "console_cpu_s": round(console.processor_seconds(), 1),
        "console_most_mb": round(console.resident_mb(most=True), 1),
        "million_additions_ms": round(1000 * additions(), 1),
    }


@dataclass
class Ends:
    """Runs that have ended at the API server, and the seconds after which the archive had each end."""

    waiting: dict[str, float] = field(default_factory=dict)
    """Time of the end by UID, until the row says so."""
    lags: list[float] = field(default_factory=list)

    async def end(self, http: httpx2.AsyncClient, name: str) -> None:
        """End a run."""
        status = {"phase": "Succeeded", "result": ANSWER, "finishReason": "stop"}
        headers = {"Content-Type": "application/merge-patch+json"}
        response = await http.patch(RUNS.path("default", name, "status"), json={"status": status}, headers=headers)
        assert response.status_code == 200, response.text
        self.waiting[response.json()["metadata"]["uid"]] = time.monotonic()

    async def watch(self, rows: RunRows) -> None:
        """Look for the rows without end."""
        while True:
            committed = await rows.committed(list(self.waiting))
            now = time.monotonic()
            self.lags += [now - self.waiting.pop(uid) for uid, row in committed.items() if row.is_ended]
            await asyncio.sleep(_POLL_SECONDS)


async def ends(kind: str, per_second: float, seconds: float) -> Figures:
    """Measure a console whose runs end at a rate."""
    count, ended = round(per_second * seconds), Ends()
    with tempfile.TemporaryDirectory() as folder:
        async with (
            opened(kind) as (database, _),
            api_server_process(Path(folder) / "runs", 0, count) as server,
            console_process(
                Path(folder) / "console", server, database.settings.url.render_as_string(hide_password=False)
            ) as console,
            httpx2.AsyncClient(base_url=server, timeout=30) as http,
        ):
            names = iter(range(count))
            before, began = console.processor_seconds(), time.monotonic()
            watching = asyncio.create_task(ended.watch(RunRows(database)))
            await at_rate(lambda: ended.end(http, f"open-{next(names)}"), count, per_second)
            took = time.monotonic() - began
            await all_stored(database, count)
            watching.cancel()
            return {
                "per_second": per_second,
                "ends": count,
                "ends_took_s": round(took, 1),
                "end_to_row_s": spread(ended.lags),
                "ends_without_a_row": count - len(ended.lags),
                "console_cpu_ms_per_end": round(1000 * (console.processor_seconds() - before) / count, 2),
            } | used(console)


async def measure(parts: list[str], databases: list[str], runs: int, per_second: float, seconds: float) -> Figures:
    """Measure the parts that were asked for, on each database."""
    found: Figures = {}
    for kind in databases:
        of_kind = found[kind] = {}
        if "catch-up" in parts:
            of_kind["catch_up"] = await catch_up(kind, runs)
        if "ends" in parts:
            of_kind["ends"] = await ends(kind, per_second, seconds)
    return found


def main() -> None:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(description="Measure the archiver.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--runs", type=int, default=20_000, help="ended runs to catch up with (default: 20,000)")
    parser.add_argument("--per-second", type=float, default=50, help="ends of runs per second (default: 50)")
    parser.add_argument("--seconds", type=float, default=60, help="for how long (default: 60)")
    asked = parser.parse_args()
    figures = uvloop.run(measure(asked.parts, asked.databases, asked.runs, asked.per_second, asked.seconds))
    print(json.dumps(figures, indent=2))  # noqa: T201 - what the command is for


if __name__ == "__main__":
    main()

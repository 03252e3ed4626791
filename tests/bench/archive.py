"""Cost of the archive's tables, on SQLite and on PostgreSQL: pages, lists, counts, upserts, contents, and the size of a file.

``python -m tests.bench.archive --rows 1000000`` measures it without a cluster. PostgreSQL is the package of ``local/postgresql.sh``, with
the settings of the tests (no fsync). Times are wall times on this machine, beside the time of ``SELECT 1`` in the same run.
"""

import argparse
import asyncio
import json
import random
import resource
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import astuple, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text
from tests.bench.report import Figures, spread
from tests.databases import new_server

from sympozium_archive.database import Database
from sympozium_archive.database_settings import DatabaseSettings
from sympozium_archive.migrate import migrate
from sympozium_archive.run_contents import Contents
from sympozium_archive.run_queries import RunFilter, RunQueries
from sympozium_archive.run_rows import RunRow, RunRows
from sympozium_archive.tables import runs
from sympozium_archive.times import moment
from sympozium_archive.usage_queries import UsageFilter, UsageQueries
from sympozium_archive.usage_rollup import UsageRollup
from sympozium_archive.usage_sums import Dimension

ROWS, PRESENT = 1_000_000, 20_000
DAY = 86_400 * 1_000_000
BEGIN, SPAN = 1_767_225_600 * 1_000_000, 400 * DAY
"""Runs are spread evenly over 400 days from 2026."""
_COLUMNS = [field.name for field in fields(RunRow)]
_LOAD = 20_000
BATCH = 10
"""Rows of a batch: 50 ends a second, written every 200 ms."""
CONTENT_BYTES = 4096
DATABASES = ("sqlite", "postgresql")


def row(number: int, rows: int, chance: random.Random) -> RunRow:
    """Return a run of a large installation: 10 namespaces, 200 instances, 1,000 keys, 5,000 users. The newest are in Kubernetes."""
    namespace = number % 10
    created = BEGIN + number * (SPAN // rows)
    failed = chance.random() < 0.05
    duration = int(chance.expovariate(1 / 4000)) + 1
    return RunRow(
        uid=str(uuid.UUID(int=chance.getrandbits(128))),
        namespace=f"team-{namespace}",
        name=f"coder-{number:x}-{chance.getrandbits(40):010x}",
        created_at=created,
        instance=f"agent-{namespace}-{chance.randrange(20)}",
        instance_uid=f"{namespace:032x}",
        source=chance.choice(("web-proxy", "web-proxy", "web-proxy", "mcp", "api", "channel", "schedule")),
        key_id=f"key-{namespace}-{chance.randrange(100):02}",
        user=f"user-{chance.randrange(5000):04}@example.com",
        session=f"session-{chance.randrange(100_000)}",
        model=f"model-{chance.randrange(8)}",
        phase="Failed" if failed else "Succeeded",
        error=chance.choice(("timeout", "model_error", "lost")) if failed else None,
        start=chance.choice(("warm", "cold")),
        started_at=created + 300_000,
        first_token_at=created + 900_000,
        ended_at=created + duration * 1000,
        input_tokens=chance.randrange(50_000),
        output_tokens=chance.randrange(4000),
        tool_calls=chance.randrange(5),
        waiting_ms=chance.randrange(1000),
        first_token_ms=chance.randrange(3000),
        duration_ms=duration,
        resource_version=str(number + 1),
        deleted_at=None if number >= rows - PRESENT else created + DAY,
        content_state=1,
    )


def records(rows: int) -> Iterator[list[Any]]:
    """Yield the rows for the driver, in order of time, a chunk at a time. Every 5,000 rows the chances repeat, in another order."""
    chance = random.Random(1)
    drawn = [list(astuple(row(number, rows, chance))) for number in range(5000)]
    at = {name: place for place, name in enumerate(_COLUMNS)}
    for start in range(0, rows, _LOAD):
        chunk = []
        for number in range(start, min(rows, start + _LOAD)):
            record = drawn[number * 2741 % 5000].copy()
            created = BEGIN + number * (SPAN // rows)
            for name in ("started_at", "first_token_at", "ended_at"):
                record[at[name]] += created - record[at["created_at"]]
            record[at["created_at"]] = created
            record[at["uid"]] = str(uuid.UUID(int=chance.getrandbits(128)))
            record[at["resource_version"]] = number + 1
            record[at["deleted_at"]] = None if number >= rows - PRESENT else created + DAY
            chunk.append(record)
        yield chunk


async def load(database: Database, rows: int) -> None:
    """Fill the table as fast as the driver can, and make its indexes afterwards."""
    async with database.writing() as connection:
        for index in runs.indexes:
            await connection.run_sync(index.drop)
    for chunk in records(rows):
        async with database.writing() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            if database.dialect == "postgresql":
                await driver.copy_records_to_table("runs", records=chunk, columns=_COLUMNS)
            else:
                names, places = ", ".join(f'"{name}"' for name in _COLUMNS), ", ".join("?" * len(_COLUMNS))
                await driver.executemany(f"INSERT INTO runs ({names}) VALUES ({places})", chunk)
    async with database.writing() as connection:
        for index in runs.indexes:
            await connection.run_sync(index.create)
        if (
            database.dialect == "postgresql"
        ):  # which analyses its tables by itself; SQLite does not, and nobody tells it to
            await connection.execute(text("ANALYZE"))


async def timed(number: int, call: Callable[[], Awaitable[Any]]) -> list[float]:
    """Return the seconds of calls, after one that warms up."""
    await call()
    seconds = []
    for _ in range(number):
        began = time.perf_counter()
        await call()
        seconds.append(time.perf_counter() - began)
    return seconds


def filters(chance: random.Random) -> dict[str, RunFilter]:
    """Return one filter of each kind that the history has."""
    since = BEGIN + chance.randrange(SPAN)
    return {
        "none": RunFilter(),
        "namespace": RunFilter(namespace=f"team-{chance.randrange(10)}"),
        "instance": RunFilter(instance=f"agent-{chance.randrange(10)}-{chance.randrange(20)}"),
        "source": RunFilter(source=chance.choice(("web-proxy", "schedule"))),
        "key": RunFilter(key=f"key-{chance.randrange(10)}-{chance.randrange(100):02}"),
        "user": RunFilter(user=f"user-{chance.randrange(5000):04}@example.com"),
        "status": RunFilter(phase=chance.choice(("Succeeded", "Failed", "Cancelled"))),
        "from, to": RunFilter(since=since, until=since + 7 * DAY),
    }


async def reads(database: Database, number: int) -> Figures:
    """Measure pages of the history, lists and counts, each kind in turn with ``SELECT 1``."""
    queries, chance = RunQueries(database), random.Random(2)
    history: dict[str, list[float]] = {kind: [] for kind in filters(chance)}
    others: dict[str, list[float]] = {"select_1": [], "list": [], "counts": [], "list_of_an_instance": []}

    async def nothing() -> None:
        async with database.reading() as connection:
            await connection.execute(text("SELECT 1"))

    for _ in range(number):
        for kind, wanted in filters(chance).items():
            offset = chance.randrange(1001)
            began = time.perf_counter()
            await queries.history(wanted, limit=50, offset=offset)
            history[kind].append(time.perf_counter() - began)
        chosen = filters(chance)["instance"]
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "select_1": nothing,
            "list": lambda: queries.newest(RunFilter(), limit=50),
            "list_of_an_instance": partial(queries.newest, chosen, limit=50),
            "counts": lambda: queries.counts(RunFilter()),
        }
        for kind, call in calls.items():
            began = time.perf_counter()
            await call()
            others[kind].append(time.perf_counter() - began)
    pages = [seconds for each in history.values() for seconds in each]
    return {
        "history_page": spread(pages),
        "history_page_by_filter": {kind: spread(each) for kind, each in history.items()},
        **{kind: spread(each) for kind, each in others.items()},
    }


async def usage(database: Database, rows: int) -> Figures:
    """Measure the sums over as many runs as Kubernetes has, and over all: of the runs themselves, and of stored days and hours."""
    queries, end, now = UsageQueries(database), BEGIN + SPAN, moment(BEGIN + SPAN + DAY // 24)
    spans = {"20000": UsageFilter(end - SPAN * PRESENT // rows, end), "all": UsageFilter(0, end)}
    dimensions: tuple[Dimension | None, ...] = (None, "instance", "key")
    found: Figures = {"usage_of_20000_unstored": spread(await timed(20, partial(queries.usage, spans["20000"])))}
    began, cpu = time.perf_counter(), time.process_time()
    found["usage_stored_spans"] = await UsageRollup(database).roll(now)
    found["usage_store_s"] = round(time.perf_counter() - began, 1)
    found["usage_store_cpu_s"] = round(time.process_time() - cpu, 1)
    for name, wanted in spans.items():
        for by in dimensions:
            seconds = await timed(20 if name == "20000" else 5, partial(queries.usage, wanted, by=by))
            found[f"usage_of_{name}_by_{by}"] = spread(seconds)
    return found | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


async def writes(database: Database, number: int) -> Figures:
    """Measure batches of upserts (a first sight, then an end) and contents, and the processor time of both in this process."""
    rows, contents, chance = RunRows(database), Contents(database), random.Random(3)
    fresh = [replace(row(0, 1, chance), deleted_at=None, content_state=0) for _ in range(number * BATCH)]
    upserts, cpu = [], time.process_time()
    for phase in ("Running", "Succeeded"):
        for start in range(0, len(fresh), BATCH):
            batch = [replace(each, phase=phase) for each in fresh[start : start + BATCH]]
            began = time.perf_counter()
            await rows.upsert(batch)
            upserts.append(time.perf_counter() - began)
    cpu = (time.process_time() - cpu) / len(upserts)
    content = {"answer": "".join(chance.choices("etaoin shrdlu", k=CONTENT_BYTES))}
    uids = iter([each.uid for each in fresh])
    puts = await timed(len(fresh) - 1, lambda: contents.put(next(uids), content))
    return {"upsert_of_10": spread(upserts), "upsert_of_10_cpu": cpu, "content_of_4_kb": spread(puts)}


def bytes_of(path: Path) -> int:
    """Return the bytes of a SQLite file without its log."""
    return path.stat().st_size


@asynccontextmanager
async def opened(kind: str) -> AsyncIterator[tuple[Database, Path | None]]:
    """A database with the schema, and its file if it is one."""
    folder = Path(tempfile.mkdtemp(prefix="bench-archive-"))
    server = new_server() if kind == "postgresql" else None
    path = None if server else folder / "archive.db"
    settings = DatabaseSettings(server.url("postgres")) if server else DatabaseSettings.of_file(folder / "archive.db")
    try:
        await migrate(settings)
        database = Database.open(settings)
        yield database, path
        await database.close()
    finally:
        shutil.rmtree(folder)
        if server:
            server.stop()
            shutil.rmtree(server.folder)


async def measure(rows: int = ROWS, databases: tuple[str, ...] = DATABASES, number: int = 50) -> Figures:
    """Measure each database: first with what Kubernetes has, then with all rows."""
    found: Figures = {}
    for kind in databases:
        async with opened(kind) as (database, _):
            await load(database, PRESENT)
            index = await reads(database, number)
            found[kind] = {
                "index": {
                    **{name: index[name] for name in ("select_1", "list", "counts", "list_of_an_instance")},
                    **{
                        name: each
                        for name, each in (await usage(database, PRESENT)).items()
                        if name.startswith("usage_of")
                    },
                }
            }
        async with opened(kind) as (database, path):
            began = time.perf_counter()
            await load(database, rows)
            found[kind] |= {"rows": rows, "load_s": round(time.perf_counter() - began, 1)}
            if path:
                found[kind]["bytes_per_1000_runs"] = round(bytes_of(path) / rows * 1000)
            found[kind] |= await reads(database, number) | await usage(database, rows) | await writes(database, 200)
    return {"archive": found}


def lines(figures: Figures) -> Iterator[str]:
    """Return the figures in milliseconds, a line each, with n."""
    for kind, of_kind in figures["archive"].items():
        flat = {f"index: {name}": each for name, each in of_kind["index"].items()}
        flat |= {f"history by {name}": each for name, each in of_kind["history_page_by_filter"].items()}
        flat |= {name: each for name, each in of_kind.items() if isinstance(each, dict) and "n" in each}
        for name, each in flat.items():
            yield f"{kind:10}  {name:28} n={each['n']:<5} p50 {each['p50'] * 1000:8.1f} ms  p95 {each['p95'] * 1000:8.1f} ms"
        for name in (
            *("rows", "load_s", "bytes_per_1000_runs", "upsert_of_10_cpu"),
            *("usage_stored_spans", "usage_store_s", "usage_store_cpu_s", "peak_mb"),
        ):
            if name in of_kind:
                yield f"{kind:10}  {name} {of_kind[name]}"


def main() -> None:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(description="Measure the archive's tables.")
    parser.add_argument("--rows", type=int, default=ROWS, help="runs in the table (default: 1,000,000)")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--number", type=int, default=50, help="pages of each kind")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    asked = parser.parse_args()
    figures = asyncio.run(measure(asked.rows, tuple(asked.databases), asked.number))
    print(json.dumps(figures, indent=2) if asked.json else "\n".join(lines(figures)))  # noqa: T201 - what the command is for


if __name__ == "__main__":
    main()

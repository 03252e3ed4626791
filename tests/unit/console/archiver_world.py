"""An archiver in front of an in-memory API server and a database of the test's own. ``restarted`` is what a new process begins with."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.databases import content_of
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.unit.operator.objects import NAMESPACE, at, run_object

from sympozium_api import names, run_part
from sympozium_api.json_text import text_in_parts
from sympozium_api.resources import RUNS, Object
from sympozium_api.retention import Retention
from sympozium_api.run import AgentRun
from sympozium_archive.database import Database
from sympozium_archive.run_contents import Contents
from sympozium_archive.run_costs import RunCosts
from sympozium_archive.run_rows import RunRow, RunRows, run_row
from sympozium_archive.tables import runs
from sympozium_archive.times import microseconds
from sympozium_console.archiver.content_loop import ContentLoop
from sympozium_console.archiver.instance_deletions import InstanceDeletions
from sympozium_console.archiver.kept_runs import KeptRuns
from sympozium_console.archiver.pruner import ArchivePruner
from sympozium_console.archiver.run_archive import RunArchive
from sympozium_console.archiver.run_deletion import RunDeletion
from sympozium_console.archiver.run_reader import RunReader
from sympozium_console.archiver.witnessed_clock import WitnessedClock
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.instance_repository import InstanceRepository
from sympozium_console.prices.pricing import Pricing
from sympozium_console.run_index.indexed_rows import indexed
from sympozium_domain.object_pages import ObjectPages

HOUR = 3600
RETENTION = Retention(
    longest=48 * HOUR, shortest=HOUR, key=24 * HOUR, kept=2, at_most=20, stored_bytes=16 * 1024 * 1024
)


class Killed(BaseException):
    """The process ended here."""


class Killer:
    """Ends the process at a step: a call of the API server or a transaction, before or after it is carried out."""

    def __init__(self, step: int | None = None) -> None:
        self.step, self.steps = step, 0

    def __call__(self) -> None:
        self.steps += 1
        if self.steps == self.step:
            raise Killed


class MortalClient:
    """The client of a process that a killer may end."""

    def __init__(self, cluster: FakeKubernetes, killer: Killer) -> None:
        self._cluster, self._killer = cluster, killer

    def __getattr__(self, name: str) -> Any:
        call: Callable[..., Awaitable[Any]] = getattr(self._cluster, name)

        async def mortal(*args: Any, **options: Any) -> Any:
            self._killer()
            answer = await call(*args, **options)
            self._killer()
            return answer

        return mortal


class MortalDatabase:
    """The database as such a process uses it."""

    def __init__(self, database: Database, killer: Killer) -> None:
        self._database, self._killer = database, killer
        self.settings, self.dialect = database.settings, database.dialect

    def reading(self) -> Any:
        return self._mortal(self._database.reading)

    def writing(self) -> Any:
        return self._mortal(self._database.writing)

    @asynccontextmanager
    async def _mortal(self, transaction: Any) -> AsyncIterator[Any]:
        self._killer()
        async with transaction() as connection:
            yield connection
            self._killer()
        self._killer()


class ArchiverWorld:
    def __init__(self, database: Database, **retention: int) -> None:
        self.database = database
        self.clock = FakeClock()
        self.cluster = FakeKubernetes(self.clock.now)
        self.retention = Retention(**vars(RETENTION) | retention)
        self.slept = 0.0
        self.prices = Path("/nowhere/prices.yaml")
        self.restarted()

    def restarted(self, killer: Killer | None = None) -> None:
        """Begin with the parts of a new process."""
        client: Any = self.cluster if killer is None else MortalClient(self.cluster, killer)
        database: Any = self.database if killer is None else MortalDatabase(self.database, killer)
        self.metrics = ConsoleMetrics()
        self.rows, self.contents = RunRows(database), Contents(database, self.clock)
        self.archive = RunArchive(
            reader=RunReader(client),
            rows=self.rows,
            contents=self.contents,
            costs=RunCosts(database),
            pricing=Pricing(self.prices),
            clock=self.clock,
            metrics=self.metrics,
        )
        kept = KeptRuns(client, (None,))
        self.witnessed = WitnessedClock(self.clock)
        self.loop = ContentLoop(self.archive)
        self.pruner = ArchivePruner(
            client=client, runs=kept, archive=self.archive, retention=self.retention, clock=self.witnessed
        )
        self.deletion = RunDeletion(client=client, archive=self.archive, sleep=self.sleep)
        self.deletions = InstanceDeletions(
            client=client,
            instances=InstanceRepository(client, ObjectPages(client)),
            runs=kept,
            archive=self.archive,
            clock=self.clock,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.clock.seconds += seconds
        self.slept += seconds

    async def indexed(self) -> None:
        """Do what the index does: all runs have rows, and those that are gone are noted."""
        rows = RunRows(self.database)
        shown = [row for body in await self.cluster.rows(RUNS, None) if (row := indexed(body))]
        await rows.upsert(shown)
        known = {row.uid for row in await self.table()}
        await rows.gone(known - {row.uid for row in shown}, microseconds(self.clock.now()))

    async def table(self) -> list[RunRow]:
        """Return all rows, by name."""
        async with self.database.reading() as connection:
            found = (await connection.execute(runs.select().order_by(runs.c.name))).mappings()
            return [run_row(row) for row in found]

    async def row(self, name: str) -> RunRow:
        [row] = [row for row in await self.table() if row.name == name]
        return row

    async def content(self, name: str) -> Any:
        return await content_of(self.database, (await self.row(name)).uid)

    def left(self) -> list[str]:
        return sorted(self.cluster.names(RUNS))

    def lost(self) -> float | None:
        return self.metrics.registry.get_sample_value("sympozium_archive_contents_lost_total")

    def pass_hours(self, hours: float) -> None:
        self.clock.seconds += hours * HOUR


def ended(name: str, *, created: float = 0, key: str = "one", phase: str = "Succeeded", **spec: Any) -> Object:
    """A run that was created so many seconds after the beginning, and ended a second later."""
    status: dict[str, Any] = {"phase": phase, "completedAt": at(created + 1)}
    if phase == "Succeeded":
        status |= {"result": f"Answer of {name}", "finishReason": "stop"}
        status["tokenUsage"] = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10, "durationMs": 900}
    run = run_object(name, created=created, status=status)
    run["metadata"]["labels"] = {names.LABEL_INSTANCE: "alice", names.LABEL_KEY: key}
    run["spec"] = {"agentRef": "alice", "mode": "task", "task": f"Question of {name}"} | spec
    return run


def put_parts(world: ArchiverWorld, name: str, field: str, text: str) -> None:
    """Let a run of the cluster name a text, and own the parts that hold it."""
    stored = text_in_parts(text.encode())
    body = world.cluster.object(RUNS, name, NAMESPACE)
    part_of, part = ("status", "answer") if field == "answer" else ("spec", f"{field}Text")
    body[part_of].pop("result", None)
    if field == "request":
        body["spec"].pop("task", None)
    body[part_of][part] = stored.field
    world.cluster.put(body)
    run = AgentRun.model_validate(world.cluster.object(RUNS, name, NAMESPACE))
    for index, data in enumerate(stored.parts):
        manifest = run_part.manifest(run, field, stored.field["sha256"], index, data)
        manifest["metadata"]["namespace"] = NAMESPACE
        world.cluster.put(manifest)

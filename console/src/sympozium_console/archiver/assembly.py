"""The parts of an archiver, put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sympozium_api import environment
from sympozium_api.client import Client
from sympozium_api.client.server_time import server_time
from sympozium_api.clock import Clock
from sympozium_archive.database import Database
from sympozium_archive.retention import AgeLimits
from sympozium_archive.run_contents import Contents
from sympozium_archive.run_costs import RunCosts
from sympozium_archive.run_rows import RunRows
from sympozium_console.archiver.archiver import Archiver
from sympozium_console.archiver.content_loop import ContentLoop
from sympozium_console.archiver.instance_deletions import InstanceDeletions
from sympozium_console.archiver.kept_runs import KeptRuns
from sympozium_console.archiver.pruner import ArchivePruner
from sympozium_console.archiver.retention_timer import RetentionTimer
from sympozium_console.archiver.run_archive import RunArchive
from sympozium_console.archiver.run_deletion import RunDeletion
from sympozium_console.archiver.run_reader import RunReader
from sympozium_console.archiver.witnessed_clock import Witness, WitnessedClock
from sympozium_console.console_metrics import ConsoleMetrics
from sympozium_console.console_settings import ArchiveSettings
from sympozium_console.instance_repository import InstanceRepository
from sympozium_console.prices.pricing import Pricing


@dataclass(frozen=True)
class ArchiverParts:
    """The parts that the console uses of its archiver."""

    archiver: Archiver
    contents: ContentLoop
    runs: RunDeletion
    instances: InstanceDeletions


def assemble_archiver(
    client: Client,
    settings: ArchiveSettings,
    instances: InstanceRepository,
    *,
    scopes: Sequence[str | None],
    clock: Clock,
    database: Database,
    metrics: ConsoleMetrics,
) -> ArchiverParts:
    """Return an archiver of the runs in ``scopes``: namespaces, or None for all at once."""
    kept = KeptRuns(client, scopes)
    witnesses: list[Witness] = [partial(server_time, client)]
    if not database.settings.is_sqlite:
        witnesses.append(database.time)
    witnessed = WitnessedClock(clock, witnesses)
    archive = RunArchive(
        reader=RunReader(client),
        rows=RunRows(database),
        contents=Contents(database, clock),
        costs=RunCosts(database),
        pricing=Pricing(Path(environment.PRICES_FILE)),
        clock=clock,
        metrics=metrics,
    )
    contents = ContentLoop(archive)
    deletions = InstanceDeletions(client=client, instances=instances, runs=kept, archive=archive, clock=clock)
    retention = settings.pruning.of_archive
    archiver = Archiver(
        database=database,
        contents=contents,
        pruner=ArchivePruner(client=client, runs=kept, archive=archive, retention=retention, clock=witnessed),
        deletions=deletions,
        retention=RetentionTimer(
            database,
            AgeLimits(
                contents=settings.content_retention_seconds,
                runs=settings.retention_seconds,
                audit=settings.audit_retention_seconds,
            ),
            witnessed,
        ),
    )
    return ArchiverParts(archiver, contents, RunDeletion(client=client, archive=archive), deletions)

"""``runs``: a list of runs, the newest first, and their changes."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sympozium_api import names
from sympozium_api.base import seconds
from sympozium_api.client import Change, RowPage, Snapshot, watch, watch_rows
from sympozium_api.client.collection import Reading
from sympozium_api.client.pages import bounded_pages
from sympozium_api.resources import RUNS, Object
from sympozium_api.run_selection import run_fields
from sympozium_api.run_status import Phase
from sympozium_api.timestamps import micro_timestamp, within_second
from sympozium_cli.cluster import Cluster
from sympozium_cli.command_line import say
from sympozium_cli.failures import WrongUsage
from sympozium_cli.output import Column, Format, Table, print_line, print_list, print_object

_PAGE = 250


def _column(title: str) -> Callable[[Object], object]:
    return lambda row: row["columns"].get(title)


def _phase(row: Object) -> str:
    phase, error = row["columns"].get("Phase") or "Pending", row["columns"].get("Error")
    return f"{phase} ({error})" if error else phase


_NAMESPACE: tuple[Column, ...] = (("NAMESPACE", lambda row: row["metadata"]["namespace"]),)
_TABLE: tuple[Column, ...] = (
    ("NAME", lambda row: row["metadata"]["name"]),
    ("INSTANCE", _column("Instance")),
    ("PHASE", _phase),
    ("QUEUE", _column("Queue")),
    ("START", _column("Start")),
    ("TOKENS", _column("Tokens")),
    ("DURATION", _column("Duration")),
    ("AGE", _column("Age")),
)
_WIDE: tuple[Column, ...] = (
    ("MODE", _column("Mode")),
    ("SOURCE", lambda row: (row["metadata"].get("labels") or {}).get(names.LABEL_SOURCE)),
    ("MODEL", _column("Model")),
    ("INPUT", _column("Input tokens")),
    ("OUTPUT", _column("Output tokens")),
    ("TOOLS", _column("Tool calls")),
    ("USER", _column("User")),
    ("SESSION", _column("Session")),
    ("STARTED", _column("Started")),
)


@dataclass(frozen=True)
class Filters:
    """The runs that are asked for."""

    instance: str | None = None
    phase: Phase | None = None
    since: str | None = None

    @property
    def selectors(self) -> dict[str, str]:
        """Selectors that the API server takes."""
        return run_fields(self.instance, self.phase)

    def newest_first(self, runs: Iterable[Object]) -> list[Object]:
        """Return the runs that are young enough, those that were accepted last first. Raises WrongUsage for a bad duration."""
        oldest = "" if self.since is None else micro_timestamp(datetime.now(UTC) - _duration(self.since))
        return sorted((run for run in runs if _accepted_at(run) >= oldest), key=_accepted_at, reverse=True)


def _duration(text: str) -> timedelta:
    try:
        return timedelta(seconds=seconds(text))
    except (ValueError, OverflowError):
        raise WrongUsage(f"--since: {text!r} is not a duration such as 90s, 1h30m or 2d") from None


def _accepted_at(run: Object) -> str:
    metadata = run["metadata"]
    accepted = (metadata.get("annotations") or {}).get(names.ANNOTATION_ACCEPTED_AT, "")
    return within_second(accepted, metadata["creationTimestamp"])


async def run(cluster: Cluster, form: Format, filters: Filters, *, follow: bool) -> None:
    """Print the runs that the filters select and, if asked to, their changes."""
    filters.newest_first(())  # a bad duration is said before anything is asked
    show = _table_printer(form, with_namespace=cluster.namespace is None) if form.is_table else _object_printer(form)
    runs = await _listed(cluster, form, filters)
    chosen = filters.newest_first(runs)
    if not follow:
        show(chosen) if chosen or not form.is_table else say(_nothing_there(cluster, filters))
        return
    print_each = show if form.is_table else _each_printer(form)
    print_each(chosen)
    async for changed in _changed(cluster, form, filters, runs):
        print_each(filters.newest_first(changed))


async def _listed(cluster: Cluster, form: Format, filters: Filters) -> list[Object]:
    if form.is_table:
        return await cluster.client.rows(RUNS, cluster.namespace, **filters.selectors)
    reading, items = Reading(metadata_only=form is Format.NAME), list[Object]()
    pages = bounded_pages(cluster.client, RUNS, cluster.namespace, reading, limit=_PAGE, **filters.selectors)
    async with aclosing(pages):
        async for page in pages:
            items += page.items
    return items


async def _changed(
    cluster: Cluster, form: Format, filters: Filters, runs: Iterable[Object]
) -> AsyncGenerator[list[Object], None]:
    """Yield the runs that are new or changed since they were seen, without end."""
    seen = dict(map(_version, runs))
    follow = watch_rows if form.is_table else watch
    async with aclosing(follow(cluster.client, RUNS, cluster.namespace, **filters.selectors)) as changes:
        async for change in changes:
            items = change.rows if isinstance(change, RowPage) else change.items if isinstance(change, Snapshot) else []
            if isinstance(change, Change) and not change.deleted:
                items = [change.object]
            changed = [item for item in items if seen.get(_version(item)[0]) != _version(item)[1]]
            seen |= dict(map(_version, changed))
            if changed:
                yield changed


def _version(run: Object) -> tuple[str, str]:
    return run["metadata"]["uid"], run["metadata"]["resourceVersion"]


def _table_printer(form: Format, *, with_namespace: bool) -> Callable[[Sequence[Object]], None]:
    columns = [*_NAMESPACE] if with_namespace else []
    columns += [*_TABLE, *_WIDE] if form is Format.WIDE else _TABLE
    table = Table([title for title, _ in columns])
    return lambda rows: table.print([[value(row) for _, value in columns] for row in rows])


def _object_printer(form: Format) -> Callable[[Sequence[Object]], None]:
    return lambda runs: print_list(RUNS, runs, form)


def _each_printer(form: Format) -> Callable[[Sequence[Object]], None]:
    """Return a printer of single objects: a list that goes on has no end."""

    def show(runs: Iterable[Object]) -> None:
        for each in runs:
            if form is Format.YAML:
                print_line("---")
            print_object(RUNS, each, form)

    return show


def _nothing_there(cluster: Cluster, filters: Filters) -> str:
    where = "in all namespaces" if cluster.namespace is None else f"in namespace {cluster.namespace}"
    if filters == Filters():
        return f"No runs {where}. Make one: kubectl sympozium chat INSTANCE 'hello'"
    return f"No runs {where} that the filters select."

"""The list of instances. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sympozium_api.names import WEB_ENDPOINT_SKILL
from sympozium_api.resources import Object
from sympozium_cli.tui.views.columns import Cell, Column
from sympozium_cli.tui.views.reading import (
    Key,
    NamedItem,
    age,
    at,
    condition,
    count_at,
    items_at,
    key_of,
    moment,
    text_at,
)
from sympozium_cli.tui.views.runs import RunItem, phase_cell

COLUMNS = (
    Column("NAME", can_be_cut=True),
    Column("NAMESPACE", rank=5, can_be_cut=True),
    Column("PHASE", can_be_cut=True),
    Column("ENDPOINT", rank=1),
    Column("SKILLS", rank=4, right=True),
    Column("IDLE", rank=6, right=True),
    Column("OPEN", rank=3, right=True),
    Column("FAILED 1H", rank=3, right=True),
    Column("MODEL", rank=7, can_be_cut=True),
    Column("AGE", right=True),
)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class InstanceItem(NamedItem):
    """An instance without its prompt."""

    phase: str
    reason: str
    """Reason of the condition Ready while it is False."""
    title: str
    model: str
    endpoint_is_on: bool
    skills: tuple[str, ...]
    pool_size: int
    idle: int | None
    created: datetime | None

    @property
    def search(self) -> str:
        """Text that a filter is looked for in."""
        endpoint = "endpoint-on" if self.endpoint_is_on else "endpoint-off"
        words = (*self.key, self.phase, self.reason, self.title, self.model, endpoint, *self.skills)
        return " ".join(words).lower()


@dataclass(frozen=True, slots=True)
class RunCounts:
    """Numbers of an instance's runs."""

    open: int = 0
    failed: int = 0
    """Runs that failed within the last hour."""


def skill_name(reference: Object) -> str:
    """Return the name of the SkillPack or ConfigMap that an entry of ``spec.skills`` names."""
    return text_at(reference, "skillPackRef") or text_at(reference, "configMapRef")


def endpoint_is_on(instance: Object) -> bool:
    """Return true if the web endpoint is switched on, by its skill or by its field."""
    by_skill = any(at(ref, "skillPackRef") == WEB_ENDPOINT_SKILL for ref in items_at(instance, "spec", "skills"))
    return by_skill or at(instance, "spec", "webEndpoint", "enabled") is True


def instance_item(body: Object) -> InstanceItem:
    """Return the item of an instance."""
    ready = condition(body, "Ready")
    agent = at(body, "spec", "agents", "default")
    return InstanceItem(
        key=key_of(body),
        phase=text_at(body, "status", "phase") or "Pending",
        reason="" if at(ready, "status") != "False" else text_at(ready, "reason"),
        title=text_at(body, "spec", "title"),
        model=text_at(agent, "model"),
        endpoint_is_on=endpoint_is_on(body),
        skills=tuple(skill_name(ref) for ref in items_at(body, "spec", "skills")),
        pool_size=count_at(agent, "warmPool", "size") or 0,
        idle=count_at(body, "status", "warmPool", "idle"),
        created=moment(at(body, "metadata", "creationTimestamp")),
    )


def run_counts(runs: Iterable[RunItem], now: datetime) -> dict[Key, RunCounts]:
    """Return the numbers of runs by instance."""
    numbers: dict[Key, list[int]] = {}
    for run in runs:
        counts = numbers.setdefault((run.key[0], run.instance), [0, 0])
        counts[0] += run.is_open and run.mode != "server"
        counts[1] += run.phase == "Failed" and run.ended is not None and now - run.ended < _HOUR
    return {key: RunCounts(*counts) for key, counts in numbers.items()}


def instance_cells(item: InstanceItem, now: datetime, counts: RunCounts | None) -> tuple[Cell, ...]:
    """Return an instance's cells, one for each of COLUMNS. ``counts`` is None while the runs are not known."""
    unknown = Cell("-", "dim")
    return (
        Cell(item.key[1], "strong"),
        Cell(item.key[0], "dim"),
        phase_cell(item.phase, item.reason, is_run=False),
        Cell("[x] on", "good") if item.endpoint_is_on else Cell("[ ] off", "dim"),
        Cell(str(len(item.skills))),
        Cell(f"{item.idle or 0}/{item.pool_size}") if item.pool_size else unknown,
        Cell(str(counts.open), "warn" if counts.open else "dim") if counts else unknown,
        Cell(str(counts.failed), "bad" if counts.failed else "dim") if counts else unknown,
        Cell(item.model, "dim"),
        Cell(age(item.created, now), "dim"),
    )

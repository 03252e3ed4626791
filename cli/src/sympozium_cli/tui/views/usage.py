"""Usage: sums over the runs that Kubernetes still has. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sympozium_cli.tui.views.columns import Cell, Column
from sympozium_cli.tui.views.reading import Key, number
from sympozium_cli.tui.views.runs import RunItem

By = Literal["instance", "model", "source", "error"]
GROUPS: tuple[By, ...] = ("instance", "model", "source", "error")

COLUMNS = (
    Column("GROUP", can_be_cut=True),
    Column("RUNS", right=True),
    Column("OPEN", rank=3, right=True),
    Column("FAILED", right=True),
    Column("WARM", rank=4, right=True),
    Column("TOKENS IN", rank=1, right=True),
    Column("TOKENS OUT", rank=1, right=True),
    Column("P50", right=True),
    Column("P95", right=True),
)


@dataclass(frozen=True, slots=True)
class UsageItem:
    """Figures of a group of runs."""

    key: Key
    runs: int
    open: int
    failed: int
    warm: float | None
    """Share of the ended runs that an idle pod did; None: none has ended."""
    tokens_in: int
    tokens_out: int
    p50: float | None
    """Seconds from acceptance to the end."""
    p95: float | None

    @property
    def order(self) -> tuple[int, Key]:
        """Position in the list: by number of runs, then by name."""
        return self.runs, self.key

    @property
    def search(self) -> str:
        """Text that a filter is looked for in."""
        return " ".join(self.key).lower()


def usage_items(runs: Iterable[RunItem], by: By) -> list[UsageItem]:
    """Return the figures of the runs in mode task, in groups."""
    groups: dict[Key, list[RunItem]] = {}
    for run in runs:
        if run.mode != "server":
            groups.setdefault(_group(run, by), []).append(run)
    return [_figures(key, members) for key, members in groups.items()]


def _group(run: RunItem, by: By) -> Key:
    if by == "instance":
        return run.key[0], run.instance
    if by == "error":
        return "", (run.reason or "unknown") if run.phase == "Failed" else "-"
    return "", (run.model if by == "model" else run.source) or "-"


def _figures(key: Key, runs: list[RunItem]) -> UsageItem:
    ended = [run for run in runs if not run.is_open]
    seconds = sorted(run.seconds for run in ended if run.seconds is not None)
    return UsageItem(
        key=key,
        runs=len(runs),
        open=len(runs) - len(ended),
        failed=sum(run.phase == "Failed" for run in ended),
        warm=sum(run.start == "warm" for run in ended) / len(ended) if ended else None,
        tokens_in=sum(run.input_tokens or 0 for run in runs),
        tokens_out=sum(run.output_tokens or 0 for run in runs),
        p50=_quantile(seconds, 0.5),
        p95=_quantile(seconds, 0.95),
    )


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def usage_cells(item: UsageItem) -> tuple[Cell, ...]:
    """Return a group's cells, one for each of COLUMNS."""
    return (
        Cell("/".join(part for part in item.key if part), "strong"),
        Cell(number(item.runs)),
        Cell(str(item.open), "warn" if item.open else "dim"),
        Cell(str(item.failed), "bad" if item.failed else "dim"),
        Cell("-" if item.warm is None else f"{item.warm:.0%}"),
        Cell(number(item.tokens_in)),
        Cell(number(item.tokens_out)),
        Cell(_seconds(item.p50)),
        Cell(_seconds(item.p95)),
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.0f}ms" if value < 1 else f"{value:.1f}s"


def counted_since(runs: Iterable[RunItem]) -> str:
    """Return since when runs are counted, in words: Kubernetes keeps ended runs for a while only."""
    times = [run.accepted for run in runs if run.accepted]
    return f"counts the runs that Kubernetes keeps, since {min(times):%Y-%m-%d %H:%M} UTC" if times else "no runs"

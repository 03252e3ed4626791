"""The list of runs. Pure."""

from dataclasses import dataclass
from datetime import datetime

from sympozium_api.names import ANNOTATION_ACCEPTED_AT, LABEL_SOURCE
from sympozium_api.resources import Object
from sympozium_cli.tui.views.columns import Cell, Column, Tone
from sympozium_cli.tui.views.reading import Key, age, at, count_at, moment, number, text_at

OPEN_PHASES = ("Pending", "Running", "Serving")
PHASES = (*OPEN_PHASES, "Succeeded", "Failed", "Cancelled")

_SIGNS: dict[str, tuple[str, Tone]] = {
    "Pending": ("○", "dim"),
    "Running": ("▶", "warn"),
    "Serving": ("●", "good"),
    "Succeeded": ("✓", "good"),
    "Failed": ("✗", "bad"),
    "Cancelled": ("⊘", "dim"),
    "Ready": ("✓", "good"),
    "Error": ("✗", "bad"),
}

COLUMNS = (
    Column("PHASE", can_be_cut=True),
    Column("NAME", can_be_cut=True),
    Column("NAMESPACE", rank=5, can_be_cut=True),
    Column("INSTANCE", can_be_cut=True),
    Column("SOURCE", rank=6),
    Column("START", rank=7),
    Column("FIRST TOKEN", rank=8, right=True),
    Column("DURATION", rank=1, right=True),
    Column("TOKENS", rank=3, right=True),
    Column("MODEL", rank=9, can_be_cut=True),
    Column("AGE", right=True),
)


@dataclass(frozen=True, slots=True)
class RunItem:
    """A run without its question and its answer."""

    key: Key
    instance: str
    mode: str
    phase: str
    reason: str
    """Type of the error or, before the end, reason of the first condition that is False."""
    source: str
    start: str
    model: str
    session: str
    queue: int | None
    duration: str
    tokens: int | None
    input_tokens: int | None
    output_tokens: int | None
    accepted: datetime | None
    started: datetime | None
    first_token: datetime | None
    ended: datetime | None

    @property
    def order(self) -> tuple[float, str]:
        """Position in the list: by acceptance, then by name."""
        return (self.accepted.timestamp() if self.accepted else 0.0), self.key[1]

    @property
    def search(self) -> str:
        """Text that a filter is looked for in."""
        words = (*self.key, self.instance, self.phase, self.reason, self.source, self.start, self.model, self.session)
        return " ".join(words).lower()

    @property
    def is_open(self) -> bool:
        """True if the run has not ended."""
        return self.phase in OPEN_PHASES

    @property
    def seconds(self) -> float | None:
        """Seconds from acceptance to the end; None before it."""
        return _between(self.accepted, self.ended)

    @property
    def first_token_seconds(self) -> float | None:
        """Seconds from acceptance to the first token; None if it is not known."""
        return _between(self.accepted, self.first_token)


def _between(first: datetime | None, last: datetime | None) -> float | None:
    return max(0.0, (last - first).total_seconds()) if first and last else None


def run_item(row: Object) -> RunItem:
    """Return the item of a run's row, as ``watch_rows`` yields it."""
    metadata, columns = row["metadata"], row.get("columns") or {}

    def cell(title: str) -> str:
        return text_at(columns, title)

    created = moment(at(metadata, "creationTimestamp"))
    accepted = moment(at(metadata, "annotations", ANNOTATION_ACCEPTED_AT))
    return RunItem(
        key=(at(metadata, "namespace") or "", at(metadata, "name") or ""),
        instance=cell("Instance"),
        mode=cell("Mode"),
        phase=cell("Phase") or "Pending",
        reason=cell("Error") or cell("Reason"),
        source=text_at(metadata, "labels", LABEL_SOURCE) or "kubectl",
        start=cell("Start"),
        model=cell("Model"),
        session=cell("Session"),
        queue=count_at(columns, "Queue"),
        duration=cell("Duration"),
        tokens=count_at(columns, "Tokens"),
        input_tokens=count_at(columns, "Input tokens"),
        output_tokens=count_at(columns, "Output tokens"),
        accepted=accepted or created,
        started=moment(at(columns, "Started")),
        first_token=moment(at(columns, "First token at")),
        ended=moment(at(columns, "Ended at")) or moment(at(columns, "Ended")),
    )


def phase_cell(phase: str, reason: str = "", *, is_run: bool = True) -> Cell:
    """Return a phase as sign, word and colour, with the reason where there is one. An instance that is Running is ready."""
    sign, tone = _SIGNS.get(phase if is_run or phase != "Running" else "Ready", ("·", ""))
    return Cell(f"{sign} {phase}" + (f" {reason}" if reason else ""), tone)


def run_cells(item: RunItem, now: datetime) -> tuple[Cell, ...]:
    """Return a run's cells, one for each of COLUMNS."""
    reason = f"place {item.queue}" if item.queue else item.reason if item.phase in {"Failed", "Pending"} else ""
    return (
        phase_cell(item.phase, reason),
        Cell(item.key[1], "strong"),
        Cell(item.key[0], "dim"),
        Cell(item.instance),
        Cell(item.source, "dim"),
        Cell(item.start),
        Cell(_duration(item.first_token_seconds)),
        Cell(item.duration or (age(item.accepted, now) if item.is_open and item.mode != "server" else "")),
        Cell(number(item.tokens)),
        Cell(item.model, "dim"),
        Cell(age(item.accepted, now), "dim"),
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.1f}s"


def next_phase(phase: str) -> str:
    """Return the phase filter after this one; empty: all phases."""
    order = ("", *PHASES)
    return order[(order.index(phase) + 1) % len(order)]

"""The list of Kubernetes' events about objects of this project. Pure."""

from dataclasses import dataclass
from datetime import datetime

from sympozium_api.names import GROUP
from sympozium_api.resources import Object
from sympozium_cli.tui.views.columns import Cell, Column
from sympozium_cli.tui.views.reading import Key, age, at, count_at, key_of, moment, text_at

COLUMNS = (
    Column("AGE", right=True),
    Column("TYPE"),
    Column("REASON", can_be_cut=True),
    Column("OBJECT", can_be_cut=True),
    Column("NAMESPACE", rank=5, can_be_cut=True),
    Column("N", rank=4, right=True),
    Column("MESSAGE", can_be_cut=True),
)


@dataclass(frozen=True, slots=True)
class EventItem:
    """An event."""

    key: Key
    about: tuple[str, str, str]
    """Kind, namespace and name of the object that the event is about."""
    is_ours: bool
    """True: the object is of this project's own kinds."""
    type: str
    reason: str
    message: str
    count: int
    last: datetime | None

    @property
    def order(self) -> tuple[float, Key]:
        """Position in the list: by time, then by name."""
        return (self.last.timestamp() if self.last else 0.0), self.key

    @property
    def search(self) -> str:
        """Text that a filter is looked for in."""
        return " ".join((*self.about, self.type, self.reason, self.message)).lower()


def event_item(body: Object) -> EventItem:
    """Return the item of an event, by the old form of events or by the new one."""
    involved = at(body, "involvedObject")
    times = (at(body, "series", "lastObservedTime"), at(body, "lastTimestamp"), at(body, "eventTime"))
    found = [time for time in map(moment, times) if time]
    return EventItem(
        key=key_of(body),
        about=(text_at(involved, "kind"), text_at(involved, "namespace"), text_at(involved, "name")),
        is_ours=text_at(involved, "apiVersion").startswith(f"{GROUP}/"),
        type=text_at(body, "type"),
        reason=text_at(body, "reason"),
        message=text_at(body, "message"),
        count=count_at(body, "series", "count") or count_at(body, "count") or 1,
        last=found[0] if found else moment(at(body, "metadata", "creationTimestamp")),
    )


def event_cells(item: EventItem, now: datetime) -> tuple[Cell, ...]:
    """Return an event's cells, one for each of COLUMNS."""
    is_bad = item.type == "Warning"
    return (
        Cell(age(item.last, now), "dim"),
        Cell("! Warning", "warn") if is_bad else Cell("  Normal", "dim"),
        Cell(item.reason, "strong"),
        Cell(f"{item.about[0]}/{item.about[2]}"),
        Cell(item.about[1], "dim"),
        Cell(str(item.count), "dim"),
        Cell(item.message),
    )

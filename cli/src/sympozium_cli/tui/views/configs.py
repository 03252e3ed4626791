"""The list of SympoziumConfigs. Pure."""

from dataclasses import dataclass
from datetime import datetime

from sympozium_api.resources import Object
from sympozium_cli.tui.views.columns import Cell, Column
from sympozium_cli.tui.views.reading import NamedItem, age, at, condition, key_of, moment, text_at
from sympozium_cli.tui.views.runs import phase_cell

COLUMNS = (
    Column("NAME", can_be_cut=True),
    Column("NAMESPACE", rank=2, can_be_cut=True),
    Column("PHASE", can_be_cut=True),
    Column("GATEWAY", can_be_cut=True),
    Column("READY"),
    Column("ADDRESS", rank=3, can_be_cut=True),
    Column("BASE DOMAIN", rank=1, can_be_cut=True),
    Column("AGE", right=True),
)


@dataclass(frozen=True, slots=True)
class ConfigItem(NamedItem):
    """A SympoziumConfig."""

    phase: str
    reason: str
    gateway: str
    ready: bool
    address: str
    domain: str
    created: datetime | None

    @property
    def search(self) -> str:
        """Text that a filter is looked for in."""
        return " ".join((*self.key, self.phase, self.reason, self.gateway, self.domain)).lower()


def config_item(body: Object) -> ConfigItem:
    """Return the item of a SympoziumConfig."""
    gateway, refused = at(body, "spec", "gateway"), condition(body, "Accepted")
    return ConfigItem(
        key=key_of(body),
        phase=text_at(body, "status", "phase") or "Pending",
        reason=text_at(refused, "reason") if at(refused, "status") == "False" else "",
        gateway=(text_at(gateway, "name") or "sympozium") if at(gateway, "enabled") is True else "off",
        ready=at(body, "status", "gateway", "ready") is True,
        address=text_at(body, "status", "gateway", "address"),
        domain=text_at(gateway, "baseDomain"),
        created=moment(at(body, "metadata", "creationTimestamp")),
    )


def config_cells(item: ConfigItem, now: datetime) -> tuple[Cell, ...]:
    """Return a SympoziumConfig's cells, one for each of COLUMNS."""
    return (
        Cell(item.key[1], "strong"),
        Cell(item.key[0], "dim"),
        phase_cell(item.phase, item.reason),
        Cell(item.gateway),
        Cell("✓ yes", "good") if item.ready else Cell("- no", "dim"),
        Cell(item.address),
        Cell(item.domain),
        Cell(age(item.created, now), "dim"),
    )

"""The lists of SkillPacks and of SympoziumConfigs. Pure."""

from dataclasses import dataclass
from datetime import datetime

from sympozium_api.resources import Object
from sympozium_cli.tui.views.columns import Cell, Column
from sympozium_cli.tui.views.reading import Key, age, at, condition, items_at, key_of, moment, text_at
from sympozium_cli.tui.views.runs import phase_cell

PACK_COLUMNS = (
    Column("NAME", can_be_cut=True),
    Column("NAMESPACE", rank=2, can_be_cut=True),
    Column("PHASE", can_be_cut=True),
    Column("SKILLS", right=True),
    Column("PARAMS", rank=3, right=True),
    Column("USED BY", right=True),
    Column("DESCRIPTION", rank=4, can_be_cut=True),
    Column("AGE", right=True),
)
CONFIG_COLUMNS = (
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
class PackItem:
    """A SkillPack without its instructions."""

    key: Key
    phase: str
    description: str
    """Description of its first skill."""
    skills: int
    params: tuple[tuple[str, str, str], ...]
    """Name, default and description of each parameter."""
    created: datetime | None

    @property
    def order(self) -> Key:
        """Position in the list: by namespace and name."""
        return self.key

    @property
    def search(self) -> str:
        """Text that a filter is looked for in."""
        return " ".join((*self.key, self.phase, self.description)).lower()


def pack_item(body: Object) -> PackItem:
    """Return the item of a SkillPack."""
    skills = items_at(body, "spec", "skills")
    return PackItem(
        key=key_of(body),
        phase=text_at(body, "status", "phase") or "Ready",
        description=text_at(skills[0], "description") if skills else "",
        skills=len(skills),
        params=tuple(
            (text_at(param, "name"), text_at(param, "default"), text_at(param, "description"))
            for param in items_at(body, "spec", "parameters")
        ),
        created=moment(at(body, "metadata", "creationTimestamp")),
    )


def pack_cells(item: PackItem, now: datetime, used_by: int | None) -> tuple[Cell, ...]:
    """Return a SkillPack's cells, one for each of PACK_COLUMNS. ``used_by``: number of instances; None: not known."""
    return (
        Cell(item.key[1], "strong"),
        Cell(item.key[0], "dim"),
        phase_cell(item.phase),
        Cell(str(item.skills)),
        Cell(str(len(item.params))),
        Cell("-" if used_by is None else str(used_by)),
        Cell(item.description, "dim"),
        Cell(age(item.created, now), "dim"),
    )


@dataclass(frozen=True, slots=True)
class ConfigItem:
    """A SympoziumConfig."""

    key: Key
    phase: str
    reason: str
    gateway: str
    ready: bool
    address: str
    domain: str
    created: datetime | None

    @property
    def order(self) -> Key:
        """Position in the list: by namespace and name."""
        return self.key

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
    """Return a SympoziumConfig's cells, one for each of CONFIG_COLUMNS."""
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

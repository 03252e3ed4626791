"""The list of SkillPacks. Pure."""

from dataclasses import dataclass
from datetime import datetime

from sympozium_api.resources import Object
from sympozium_cli.tui.views.columns import Cell, Column
from sympozium_cli.tui.views.reading import NamedItem, age, at, items_at, key_of, moment, text_at
from sympozium_cli.tui.views.runs import phase_cell

COLUMNS = (
    Column("NAME", can_be_cut=True),
    Column("NAMESPACE", rank=2, can_be_cut=True),
    Column("PHASE", can_be_cut=True),
    Column("SKILLS", right=True),
    Column("PARAMS", rank=3, right=True),
    Column("USED BY", right=True),
    Column("DESCRIPTION", rank=4, can_be_cut=True),
    Column("AGE", right=True),
)


@dataclass(frozen=True, slots=True)
class PackItem(NamedItem):
    """A SkillPack without its instructions."""

    phase: str
    description: str
    """Description of its first skill."""
    skills: int
    params: tuple[tuple[str, str, str], ...]
    """Name, default and description of each parameter."""
    created: datetime | None

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
    """Return a SkillPack's cells, one for each of COLUMNS. ``used_by``: number of instances; None: not known."""
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

"""Skills of an instance: what may be switched, and what a switch changes in its spec. Pure."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sympozium_api.names import WEB_ENDPOINT_SKILL
from sympozium_api.resources import Object
from sympozium_cli.plain_text import plain
from sympozium_cli.tui.views.columns import Cell, Column
from sympozium_cli.tui.views.instances import endpoint_is_on, skill_name
from sympozium_cli.tui.views.packs import PackItem
from sympozium_cli.tui.views.reading import at, items_at

Kind = Literal["skillPackRef", "configMapRef"]

COLUMNS = (
    Column("ON"),
    Column("SKILL", can_be_cut=True),
    Column("FROM", rank=3),
    Column("PARAMS", rank=2, can_be_cut=True),
    Column("STATE", rank=1),
    Column("DESCRIPTION", rank=4, can_be_cut=True),
)
_ENDPOINT_WORDS = "the instance's HTTP API: chat completions, responses, MCP"


@dataclass(frozen=True)
class SkillChoice:
    """A skill that an instance has or may have."""

    kind: Kind
    name: str
    is_on: bool
    description: str = ""
    params: tuple[tuple[str, str], ...] = ()
    """Values that the instance sets, and defaults of the others."""

    @property
    def is_endpoint(self) -> bool:
        """True of the skill that gives the instance its HTTP API."""
        return self.kind == "skillPackRef" and self.name == WEB_ENDPOINT_SKILL


@dataclass(frozen=True)
class Placement:
    """A skill's entry in ``spec.skills``, its position, and for the web endpoint the field that is equivalent."""

    entry: Object | None
    index: int
    endpoint: Object | None = None
    """Of the web endpoint's skill: the equivalent field ``spec.webEndpoint``."""


@dataclass(frozen=True)
class Switch:
    """A skill that was switched."""

    choice: SkillChoice
    """The skill as it was shown before."""
    before: Placement
    after: Placement


def choices(instance: Object, packs: Iterable[PackItem]) -> list[SkillChoice]:
    """Return the skills of an instance and those it may have: the web endpoint first, then by name."""
    known = {pack.key[1]: pack for pack in packs}
    found: dict[tuple[str, str], SkillChoice] = {}
    for entry in [{"skillPackRef": WEB_ENDPOINT_SKILL}, *({"skillPackRef": name} for name in known)]:
        found["skillPackRef", entry["skillPackRef"]] = _choice(entry, known, is_on=False)
    for entry in items_at(instance, "spec", "skills"):
        choice = _choice(entry, known, is_on=True)
        found[choice.kind, choice.name] = choice
    endpoint = found["skillPackRef", WEB_ENDPOINT_SKILL]
    if endpoint_is_on(instance) != endpoint.is_on:
        found["skillPackRef", WEB_ENDPOINT_SKILL] = _choice({"skillPackRef": WEB_ENDPOINT_SKILL}, known, is_on=True)
    return sorted(found.values(), key=lambda choice: (not choice.is_endpoint, choice.name, choice.kind))


def _choice(entry: Object, known: dict[str, PackItem], *, is_on: bool) -> SkillChoice:
    kind: Kind = "configMapRef" if at(entry, "configMapRef") else "skillPackRef"
    name = skill_name(entry)
    pack = known.get(name) if kind == "skillPackRef" else None
    values = {name: default for name, default, _ in pack.params} if pack else {}
    values |= {str(key): str(value) for key, value in (at(entry, "params") or {}).items()}
    words = _ENDPOINT_WORDS if name == WEB_ENDPOINT_SKILL and kind == "skillPackRef" else ""
    return SkillChoice(kind, name, is_on, words or (pack.description if pack else ""), tuple(values.items()))


def placement(instance: Object, choice: SkillChoice) -> Placement:
    """Return where an instance has a skill; no entry: it does not have it."""
    refs = items_at(instance, "spec", "skills")
    endpoint = copy.deepcopy(at(instance, "spec", "webEndpoint") or {}) if choice.is_endpoint else None
    for index, entry in enumerate(refs):
        if at(entry, choice.kind) == choice.name:
            return Placement(copy.deepcopy(entry), index, endpoint)
    return Placement(None, len(refs), endpoint)


def placed(instance: Object, choice: SkillChoice, wanted: Placement) -> Object:
    """Return an instance that has a skill where ``wanted`` says, and all its other skills as they are."""
    spec = copy.deepcopy(instance["spec"])
    refs = [entry for entry in items_at(spec, "skills") if at(entry, choice.kind) != choice.name]
    if wanted.entry is not None:
        refs.insert(wanted.index, copy.deepcopy(wanted.entry))
    if refs or "skills" in spec:
        spec["skills"] = refs
    if wanted.endpoint is not None:
        spec["webEndpoint"] = copy.deepcopy(wanted.endpoint)
    return {**instance, "spec": spec}


def turned(instance: Object, choice: SkillChoice, *, on: bool) -> Object:
    """Return an instance without a skill or, after all others, with it; the same instance if it is so already."""
    if choice.is_endpoint:
        from sympozium_api.web_endpoint_switch import switched

        return {**instance, "spec": switched(instance["spec"], enabled=on)}
    now = placement(instance, choice)
    if (now.entry is not None) == on:
        return instance
    return placed(instance, choice, Placement({choice.kind: choice.name} if on else None, now.index))


def taken_back(instance: Object, switch: Switch) -> Object:
    """Return an instance as it was before a switch. What somebody else has changed of the skill since then stays."""
    now = placement(instance, switch.choice)
    if (now.entry, now.endpoint) == (switch.after.entry, switch.after.endpoint):
        return placed(instance, switch.choice, switch.before)
    return turned(instance, switch.choice, on=switch.choice.is_on)


def with_params(instance: Object, choice: SkillChoice, values: dict[str, str]) -> Object:
    """Return an instance whose skill has these params beside its others, without those that are empty.

    Raises ValueError if the instance does not have the skill.
    """
    now = placement(instance, choice)
    if now.entry is None and not (choice.is_endpoint and endpoint_is_on(instance)):
        raise ValueError("somebody has switched the skill off meanwhile")
    entry: Object = now.entry or {choice.kind: choice.name}
    params = {name: value for name, value in ((entry.get("params") or {}) | values).items() if value}
    return placed(instance, choice, Placement(entry | {"params": params}, now.index, now.endpoint))


def choice_cells(choice: SkillChoice, state: str) -> tuple[Cell, ...]:
    """Return a skill's cells, one for each of COLUMNS. ``state``: ``saving``, ``saved`` or why not."""
    tone: Literal["bad", "good", "warn"] = "bad" if state.startswith("✗") else "warn" if state == "saving…" else "good"
    return (
        Cell("[x]", "good") if choice.is_on else Cell("[ ]", "dim"),
        Cell(choice.name, "strong"),
        Cell("ConfigMap" if choice.kind == "configMapRef" else "SkillPack", "dim"),
        Cell(plain(", ".join(f"{name}={value}" for name, value in choice.params)), "dim"),
        Cell(state, tone),
        Cell(choice.description, "dim"),
    )


def offered(packs: Sequence[PackItem], namespace: str, built_in: Iterable[str]) -> list[PackItem]:
    """Return the packs that an instance of a namespace may name: its own, which hide those of the installation."""
    brought = set(built_in)
    by_name = {pack.key[1]: pack for pack in packs if pack.key[0] in brought}
    return list((by_name | {pack.key[1]: pack for pack in packs if pack.key[0] == namespace}).values())

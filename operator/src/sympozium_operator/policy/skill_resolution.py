"""Resolution of an instance's skills: from the names in its spec to the one list that its agents get."""

import re
from collections.abc import Iterator, Mapping

import yaml

from sympozium_api import effective, installed_skills, names
from sympozium_api.effective import InvalidSpec
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SkillRef, SympoziumInstance
from sympozium_api.resources import Object
from sympozium_api.skillpack import SkillPack
from sympozium_operator.policy.conditions import ConditionUpdate

Source = SkillPack | Object | None
"""Object that a skill of an instance names: a SkillPack, a ConfigMap, or None if it does not exist."""

MOST_BYTES = 1024 * 1024
"""Most bytes that a ConfigMap can hold."""

_FRONT_MATTER = re.compile(r"---\r?\n(.{0,4096}?\n)---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
"""Front matter as in a SKILL.md. Its length is bounded, because YAML is parsed slowly while the event loop waits."""
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Loader that makes only strings; the fast one if PyYAML was built with it."""


def missing(instance: SympoziumInstance, sources: Mapping[str, Source]) -> ConditionUpdate | None:
    """Return the condition for a SkillPack or ConfigMap that does not exist; None if all exist. ``sources`` are keyed by field."""
    for field, ref in effective.skill_refs(instance).items():
        if sources.get(field) is None:
            if ref.skill_pack_ref:
                where = f"{ref.skill_pack_ref}, neither in the instance's namespace nor in the operator's"
                text = f"{field}.skillPackRef: there is no SkillPack {where}"
                return ConditionUpdate("Accepted", ok=False, reason="SkillPackNotFound", message=text)
            text = f"{field}.configMapRef: there is no ConfigMap {ref.config_map_ref}"
            return ConditionUpdate("Accepted", ok=False, reason="ConfigMapNotFound", message=text)
    return None


def install(instance: SympoziumInstance, sources: Mapping[str, Source]) -> list[InstalledSkill]:
    """Return the skills of an instance whose sources all exist, in the order of its spec. Raises InvalidSpec."""
    config_maps = [source for source in sources.values() if isinstance(source, dict)]
    _refuse_size(sum(len(text) for config_map in config_maps for text in _data(config_map).values()))
    installed: list[InstalledSkill] = []
    origins: dict[str, str] = {}
    for field, ref in effective.skill_refs(instance).items():
        origin = f"{field} ({ref.skill_pack_ref or ref.config_map_ref})"
        for skill in _of_source(instance, field, ref, sources[field]):
            if other := origins.get(skill.name):
                raise InvalidSpec(f"{origin} and {other} both have a skill {skill.name}; rename one of them")
            origins[skill.name] = origin
            installed.append(skill)
    _refuse_size(len(installed_skills.render(installed).encode()))
    try:
        _refuse_size(sum(len(installed_skills.standing_instructions(skill).encode()) for skill in installed))
    except ValueError as error:
        raise InvalidSpec(f"spec.skills: {error}") from None
    return installed


def pack_failure(pack: SkillPack) -> str | None:
    """Return the reason why no instance can have the skills of this pack; None if it can."""
    if pack.spec.sidecar is not None:
        return "it has a sidecar, which this version supports only for the skill web-endpoint; remove spec.sidecar"
    known = [skill.name for skill in pack.spec.skills]
    twice = next((name for name in known if known.count(name) > 1), None)
    return f"it has two skills {twice}" if twice else None


def _refuse_size(size: int) -> None:
    if size > MOST_BYTES:
        raise InvalidSpec(f"spec.skills: all skills together have {size} bytes; the limit is {MOST_BYTES}")


def _of_source(instance: SympoziumInstance, field: str, ref: SkillRef, source: Source) -> Iterator[InstalledSkill]:
    if isinstance(source, SkillPack):
        return _of_pack(field, ref, source)
    if ref.config_map_ref == names.installed_skills(instance.metadata.name):
        raise InvalidSpec(
            f"{field}.configMapRef: {ref.config_map_ref} is the ConfigMap that the operator itself writes"
        )
    return _of_config_map(field, ref, source or {})


def _of_pack(field: str, ref: SkillRef, pack: SkillPack) -> Iterator[InstalledSkill]:
    if trouble := pack_failure(pack):
        raise InvalidSpec(f"{field}.skillPackRef: the SkillPack {ref.skill_pack_ref} cannot be used: {trouble}")
    _refuse_unknown(field, ref, {parameter.name for parameter in pack.spec.parameters})
    yield from installed_skills.of_pack(pack, ref.params)


def _of_config_map(field: str, ref: SkillRef, config_map: Object) -> Iterator[InstalledSkill]:
    _refuse_unknown(field, ref, set())
    for key, text in sorted(_data(config_map).items()):
        description, content = _parts(text)
        yield InstalledSkill(name=key.removesuffix(".md") or key, description=description, content=content)


def _data(config_map: Object) -> dict[str, str]:
    return config_map.get("data") or {}


def _refuse_unknown(field: str, ref: SkillRef, known: set[str]) -> None:
    for name in ref.params:
        if name not in known:
            raise InvalidSpec(f"{field}.params.{name}: unknown; known are {', '.join(sorted(known)) or 'none'}")


def _parts(text: str) -> tuple[str | None, str]:
    """Return the description in a text's front matter, if it has one, and the text after the front matter."""
    front = _FRONT_MATTER.match(text)
    if front is None:
        return None, text
    try:
        header = yaml.load(front[1], Loader=_LOADER)  # noqa: S506 - see there
    except (yaml.YAMLError, RecursionError):
        return None, text  # not YAML, so not front matter
    if not isinstance(header, dict):
        return None, text
    description = header.get("description")
    return description if isinstance(description, str) and description else None, text[front.end() :].lstrip("\r\n")

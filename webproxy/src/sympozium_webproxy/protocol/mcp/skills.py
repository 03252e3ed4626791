"""An instance's skills as tools and prompts. A skill with parameters is a template that a caller fills."""

import re

from sympozium_api.skills import InstalledSkill

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
_PLACE = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")


def by_name(skills: tuple[InstalledSkill, ...]) -> dict[str, InstalledSkill]:
    """The skills by the names that clients know them by: the protocol allows fewer characters than a SkillPack does."""
    found: dict[str, InstalledSkill] = {}
    for skill in skills:
        found.setdefault(_NOT_IN_NAMES.sub("_", skill.name), skill)
    return found


def filled(skill: InstalledSkill, arguments: dict[str, str]) -> str:
    """The skill's instructions with a value in each ``{{parameter}}``: the caller's, else its default."""
    values = {parameter.name: parameter.default or "" for parameter in skill.parameters} | arguments
    return _PLACE.sub(lambda place: values.get(place[1], place[0]), skill.content)

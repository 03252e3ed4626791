"""Names by which MCP clients know the skills of an instance."""

import re

from sympozium_api.installed_skills import InstalledSkill

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


def by_name(skills: tuple[InstalledSkill, ...]) -> dict[str, InstalledSkill]:
    """Return the skills by their names for clients, because MCP allows fewer characters in a name than a SkillPack does."""
    named: dict[str, InstalledSkill] = {}
    for skill in skills:
        named.setdefault(_NOT_IN_NAMES.sub("_", skill.name), skill)
    return named

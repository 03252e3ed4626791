"""An instance's skills by the names that MCP clients know them by."""

import re

from sympozium_api.installed_skills import InstalledSkill

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


def by_name(skills: tuple[InstalledSkill, ...]) -> dict[str, InstalledSkill]:
    """The skills by the names that clients know them by: the protocol allows fewer characters than a SkillPack does."""
    found: dict[str, InstalledSkill] = {}
    for skill in skills:
        found.setdefault(_NOT_IN_NAMES.sub("_", skill.name), skill)
    return found

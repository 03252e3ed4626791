"""Tools of SkillPacks: a call returns the instructions of a skill that the agent's instance has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sympozium_api import installed_skills
from sympozium_api.client import Client
from sympozium_api.installed_skills import InstalledSkill
from sympozium_api.instance import SkillRef
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import SKILL_PACKS
from sympozium_api.skillpack import SkillPack
from sympozium_egress.policy.call_policy import CallRefused
from sympozium_egress.policy.tool_result import ToolResult


@dataclass(frozen=True)
class SkillTools:
    """Reader of SkillPacks, again for each call."""

    client: Client
    namespace: str
    """Namespace of the installation, whose SkillPacks all namespaces may use."""

    async def result(
        self, namespace: str, refs: Sequence[SkillRef], name: str, arguments: dict[str, Any]
    ) -> ToolResult:
        """Return the instructions of the skill of this name, with the arguments as its parameters.

        Raises CallRefused if no SkillPack among ``refs`` has the skill, or a parameter has no value; ApiError, ApiUnavailable.
        """
        for ref in refs:
            for skill in await self._skills(namespace, ref):
                if skill.name == name:
                    return _instructions(skill, arguments)
        raise CallRefused(f"there is no built-in tool {name}, and no SkillPack of the agent has a skill of this name")

    async def _skills(self, namespace: str, ref: SkillRef) -> Sequence[InstalledSkill]:
        for candidate in dict.fromkeys((namespace, self.namespace)) if ref.skill_pack_ref else ():
            body = await self.client.find(SKILL_PACKS, candidate, ref.skill_pack_ref or "")
            if body is not None:
                try:
                    return tuple(installed_skills.of_pack(read(SkillPack, body), ref.params))
                except Unreadable:
                    return ()  # the operator reports it
        return ()


def _instructions(skill: InstalledSkill, arguments: dict[str, Any]) -> ToolResult:
    texts = {name: value if isinstance(value, str) else str(value) for name, value in arguments.items()}
    try:
        return ToolResult(installed_skills.instructions(skill, texts), is_error=False)
    except ValueError as error:
        raise CallRefused(str(error), "invalid_arguments") from None

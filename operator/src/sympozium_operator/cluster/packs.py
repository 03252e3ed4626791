"""Which SkillPack counts for a namespace: its own, or one that came with the installation."""

from sympozium_api.client import Client
from sympozium_api.names import WEB_ENDPOINT_SKILL
from sympozium_api.resources import SKILL_PACKS
from sympozium_api.skillpack import SkillPack


async def skill_pack(client: Client, namespace: str, built_in: str, name: str) -> SkillPack | None:
    """The SkillPack of that name for a namespace; ``built_in``: the operator's own namespace."""
    for place in dict.fromkeys((namespace, built_in)):
        found = await client.find(SKILL_PACKS, place, name)
        if found is not None:
            return SkillPack.model_validate(found)
    return None


async def web_endpoint_pack(client: Client, namespace: str, built_in: str) -> SkillPack | None:
    """The SkillPack ``web-endpoint`` for a namespace."""
    return await skill_pack(client, namespace, built_in, WEB_ENDPOINT_SKILL)

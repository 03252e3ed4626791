"""Objects that an instance's spec refers to by name."""

import asyncio

from sympozium_api import effective
from sympozium_api.client import Client
from sympozium_api.effective import InvalidSpec
from sympozium_api.instance import SympoziumInstance
from sympozium_api.names import WEB_ENDPOINT_SKILL
from sympozium_api.reading import read
from sympozium_api.resources import SECRETS, SKILL_PACKS, Object
from sympozium_api.skillpack import SkillPack
from sympozium_operator.policy.web_endpoint_pack import WebEndpointPack


async def auth_secret(client: Client, instance: SympoziumInstance) -> Object | None:
    """Return the Secret with API keys that the instance names; None if it names none, or the Secret does not exist."""
    try:
        endpoint = effective.web_endpoint(instance)
    except InvalidSpec:
        return None  # the decision reports it
    if endpoint is None or endpoint.auth_secret_ref is None:
        return None
    return await client.find(SECRETS, instance.metadata.namespace, endpoint.auth_secret_ref)


async def skill_pack(client: Client, namespace: str, built_in: str, name: str) -> SkillPack | None:
    """Return the SkillPack of this name: the namespace's own, or one of the operator's namespace ``built_in``."""
    for candidate in dict.fromkeys((namespace, built_in)):
        body = await client.find(SKILL_PACKS, candidate, name)
        if body is not None:
            return read(SkillPack, body)
    return None


async def web_endpoint_pack(client: Client, namespace: str, built_in: str) -> WebEndpointPack:
    """Return the SkillPacks ``web-endpoint`` for a namespace."""
    built_in_pack, own = await asyncio.gather(
        _pack(client, built_in), _pack(client, namespace) if namespace != built_in else _nothing()
    )
    return WebEndpointPack(built_in_pack, own)


async def _pack(client: Client, namespace: str) -> SkillPack | None:
    body = await client.find(SKILL_PACKS, namespace, WEB_ENDPOINT_SKILL)
    return read(SkillPack, body) if body else None


async def _nothing() -> None:
    return None

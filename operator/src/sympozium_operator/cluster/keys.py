"""The Secret with API keys that an instance names."""

from typing import Any

from sympozium_api import effective
from sympozium_api.client import Client
from sympozium_api.effective import InvalidSpec
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import SECRETS


async def own_keys(client: Client, instance: SympoziumInstance) -> dict[str, Any] | None:
    """That Secret, or None where the instance names none or it is not there."""
    try:
        endpoint = effective.web_endpoint(instance)
    except InvalidSpec:
        return None  # the decision says so
    if endpoint is None or endpoint.auth_secret_ref is None:
        return None
    return await client.find(SECRETS, instance.metadata.namespace, endpoint.auth_secret_ref)

"""An instance's web endpoint, switched on and off with the user's rights."""

from collections.abc import Mapping
from typing import Any

from sympozium_api.client import Client
from sympozium_api.resources import INSTANCES, Object
from sympozium_api.web_endpoint_switch import switched
from sympozium_cli.object_changes import change


async def switch(
    client: Client, namespace: str, name: str, *, enabled: bool, values: Mapping[str, Any] | None = None
) -> tuple[Object, bool]:
    """Switch an instance's web endpoint; return the instance, and whether it was changed. ``values``: as ``switched`` takes them.

    Raises ApiError and ApiUnavailable.
    """

    def wanted(instance: Object) -> Object:
        return instance | {"spec": switched(instance["spec"], enabled=enabled, values=values)}

    return await change(client, INSTANCES, (namespace, name), wanted)

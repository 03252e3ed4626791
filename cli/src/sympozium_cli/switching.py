"""An instance's web endpoint, switched on and off with the user's rights."""

from collections.abc import Mapping
from typing import Any

from sympozium_api.client import ApiError, Client
from sympozium_api.resources import INSTANCES, Object
from sympozium_api.web_endpoint_switch import switched

_ATTEMPTS = 5
"""Tries of a write that meets others: the operator's status reports must not fail it."""


async def switch(
    client: Client, namespace: str, name: str, *, enabled: bool, values: Mapping[str, Any] | None = None
) -> tuple[Object, bool]:
    """Switch an instance's web endpoint; return the instance, and whether it was changed. ``values``: as ``switched`` takes them.

    Raises ApiError and ApiUnavailable.
    """
    for attempt in range(_ATTEMPTS):
        instance = await client.get(INSTANCES, namespace, name)
        spec = switched(instance["spec"], enabled=enabled, values=values)
        if spec == instance["spec"]:
            return instance, False
        try:
            return await client.replace(INSTANCES, namespace, instance | {"spec": spec}, strict=True), True
        except ApiError as error:
            if error.status != 409 or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError

"""Names of what an instance's web endpoint gets, and an edit of an object."""

from typing import Any

from tests.unit.operator.objects import (
    NAMESPACE,
)
from tests.unit.operator.operator_world import World

from sympozium_api.client import ResourceType

RUN = "alice-web-endpoint"
SERVER = f"{RUN}-server"
KEY = f"{RUN}-web-api-key"


def edit(world: World, kind: ResourceType, name: str, **spec: Any) -> None:
    body = world.cluster.object(kind, name, NAMESPACE)
    world.cluster.put(body | {"spec": body["spec"] | spec})

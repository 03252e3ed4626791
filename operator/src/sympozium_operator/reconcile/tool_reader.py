"""Reader of Tools and ToolBindings. On a cluster without their CRDs there are none."""

from typing import TypeVar

from sympozium_api.base import Resource
from sympozium_api.client import ApiError, Client
from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import TOOL_BINDINGS, TOOLS, Object, ResourceType
from sympozium_api.tool import Tool
from sympozium_api.tool_binding import ToolBinding

R = TypeVar("R", bound=Resource)


async def bodies(client: Client, kind: ResourceType, namespace: str, **selectors: str) -> list[Object]:
    """Return the objects of a kind that are not being deleted. Without the CRD there are none."""
    try:
        found = await client.list(kind, namespace, **selectors)
    except ApiError as error:
        if not error.not_found:
            raise
        return []
    return [body for body in found if not body["metadata"].get("deletionTimestamp")]


def readable(model: type[R], found: list[Object]) -> tuple[list[R], list[tuple[Object, Unreadable]]]:
    """Return the objects as their models, and those that cannot be read, with the reason."""
    objects, failures = list[R](), list[tuple[Object, Unreadable]]()
    for body in found:
        try:
            objects.append(read(model, body))
        except Unreadable as failure:
            failures.append((body, failure))
    return objects, failures


async def bindings_of(client: Client, namespace: str, agent: str) -> list[ToolBinding]:
    """Return the readable ToolBindings of an agent."""
    found = await bodies(client, TOOL_BINDINGS, namespace, fieldSelector=f"spec.agentRef={agent}")
    return readable(ToolBinding, found)[0]


async def tools_of(client: Client, namespace: str) -> list[Tool]:
    """Return the readable Tools of a namespace."""
    return readable(Tool, await bodies(client, TOOLS, namespace))[0]

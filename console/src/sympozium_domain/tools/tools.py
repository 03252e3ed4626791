"""Tools of a namespace: created, listed, found, changed and deleted, at any replica at once."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.resources import TOOL_BINDINGS, TOOLS, Object
from sympozium_domain import object_ids, object_times
from sympozium_domain.idempotent_creation import Creation
from sympozium_domain.tenant_bounds import TenantBounds, TooMany
from sympozium_domain.tools import tool_manifest
from sympozium_domain.tools.tool_manifest import ToolFields
from sympozium_domain.tools.tool_record import ToolRecord
from sympozium_domain.tools.tools_in_force import ToolsInForce

_LISTED_WHOLE = 200
"""Most tools of a namespace that are read at once for a page of them."""
_ATTEMPTS = 20
"""Tries of a write that meets others. The operator's reports are among them."""


@dataclass(frozen=True)
class Tools:
    """The tools of every namespace. Each method raises ApiError and ApiUnavailable."""

    client: Client
    clock: Clock
    in_force: ToolsInForce
    bounds: TenantBounds = field(default_factory=TenantBounds)

    async def create(
        self, creation: Creation, namespace: str, fields: ToolFields, owner: str, *, timeout_seconds: int
    ) -> ToolRecord:
        """Create a tool from a name, a schema, an execution type and what else is given; of a repeated request return the first one's.

        ``timeout_seconds``: the longest call that a binding may allow. Raises WrongField, KeyOfAnotherBody and TooMany.
        """
        body = tool_manifest.manifest(creation, fields, owner, self.clock.now(), timeout_seconds=timeout_seconds)
        count = len(await self.client.metadata(TOOLS, namespace, resourceVersion="0"))
        name = body["metadata"]["name"]
        if count >= self.bounds.tools and not await creation.is_made(self.client, TOOLS, namespace, name):
            raise TooMany(f"The tenant has {count} tools, and callers make no more than {self.bounds.tools}.")
        stored, _ = await creation.create(self.client, TOOLS, namespace, body)
        await self.in_force.settle_tool(namespace, stored["metadata"]["name"])
        return _record(stored)

    async def page(self, namespace: str, *, limit: int, offset: int) -> tuple[list[ToolRecord], int]:
        """Return at most ``limit`` tools after the ``offset`` newest ones, the newest first, and the number of all."""
        newest = sorted(await self.client.metadata(TOOLS, namespace), key=_age, reverse=True)
        shown = newest[offset : offset + limit]
        if len(newest) <= _LISTED_WHOLE:
            bodies = {body["metadata"]["name"]: body for body in await self.client.list(TOOLS, namespace)}
        else:  # their schemas may have 32 KiB each, too much for a process if all of them are read
            bodies = await self._bodies(namespace, [each["metadata"]["name"] for each in shown])
        records = [ToolRecord.of(bodies[name]) for each in shown if (name := each["metadata"]["name"]) in bodies]
        return [record for record in records if record is not None], len(newest)

    async def find(self, namespace: str, tool_id: str) -> ToolRecord | None:
        """Return a tool; None: the namespace has none with this id."""
        body = await object_ids.find(self.client, TOOLS, namespace, tool_id)
        return None if body is None else ToolRecord.of(body)

    async def change(self, namespace: str, tool_id: str, fields: ToolFields) -> ToolRecord | None:
        """Give a tool the fields; None: the namespace has none with this id. Raises WrongField."""
        for _ in range(_ATTEMPTS):
            body = await object_ids.find(self.client, TOOLS, namespace, tool_id)
            known = None if body is None else ToolRecord.of(body)
            if body is None or known is None:
                return None
            if not fields:
                return known
            patch = tool_manifest.patch(body, known, fields, self.clock.now())
            try:
                stored = await self.client.patch(TOOLS, namespace, known.object_name, patch, strict=True)
            except ApiError as error:
                if error.status != 409:
                    raise
                failure = error
            else:
                await self.in_force.settle_tool(namespace, known.object_name)
                await self.in_force.settle_agents(namespace, await self._agents(namespace, known.object_name))
                return _record(stored)
        raise failure

    async def delete(self, namespace: str, tool_id: str) -> bool:
        """Delete a tool, and with it its bindings. Return False if the namespace has none with this id."""
        body = await object_ids.find(self.client, TOOLS, namespace, tool_id)
        if body is None or ToolRecord.of(body) is None:
            return False
        name = body["metadata"]["name"]
        agents = await self._agents(namespace, name)
        await self.client.delete(TOOLS, namespace, name, uid=body["metadata"]["uid"])
        await self.in_force.settle_agents(namespace, agents)
        return True

    async def _bodies(self, namespace: str, names: list[str]) -> dict[str, Object]:
        """Return those of these Tools that are there, by name."""
        found = await asyncio.gather(*(self.client.find(TOOLS, namespace, name) for name in names))
        return {body["metadata"]["name"]: body for body in found if body is not None}

    async def _agents(self, namespace: str, name: str) -> list[str]:
        """Return the instances that have a binding of a Tool."""
        bindings = await self.client.list(TOOL_BINDINGS, namespace, fieldSelector=f"spec.toolRef={name}")
        return sorted({binding["spec"]["agentRef"] for binding in bindings})


def _age(body: Object) -> tuple[datetime, str]:
    return object_times.created(body), body["metadata"]["name"]


def _record(body: Object) -> ToolRecord:
    record = ToolRecord.of(body)
    if record is None:
        raise ApiError(409, {"reason": "Conflict", "message": "the tool was deleted meanwhile"})
    return record

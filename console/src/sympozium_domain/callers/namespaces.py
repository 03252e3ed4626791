"""The namespaces of the console: which there are, and which tenant each of them is."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import structlog

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.resources import NAMESPACES, Object

log = structlog.get_logger()

_FRESH_SECONDS = 10.0
_MISSED_SECONDS = 1.0
"""Seconds after which a tenant that was not found is looked for again: its namespace may be new."""


class Namespaces:
    """Namespaces that the console serves: those of ``served``, or all of the cluster. Read again every ten seconds while needed."""

    def __init__(self, client: Client, clock: Clock, served: Sequence[str] = ()) -> None:
        self._client = client
        self._clock = clock
        self._served = tuple(served)
        self._found: tuple[Object, ...] = ()
        self._tenants: dict[str, tuple[str, ...]] = {}
        """Names of the namespaces of each tenant id."""
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def names(self) -> tuple[str, ...]:
        """Return the names of the namespaces, sorted. Raises ApiError and ApiUnavailable."""
        if self._served:
            return tuple(sorted(self._served))
        return tuple(sorted(item["metadata"]["name"] for item in await self._current()))

    async def of_tenant(self, tenant_id: str) -> str | None:
        """Return the namespace of a tenant: its label ``sympozium.ai/tenant-id``, else its UID. None: there is none, or several.

        Raises ApiError and ApiUnavailable.
        """
        await self._current()
        if tenant_id not in self._tenants:
            await self._current(_MISSED_SECONDS)
        found = self._tenants.get(tenant_id, ())
        return found[0] if len(found) == 1 else None

    async def tenant_id(self, namespace: str) -> str | None:
        """Return the id of a namespace as a tenant; None if there is no such namespace, or several have its id.

        Raises ApiError and ApiUnavailable.
        """
        for seconds in (_FRESH_SECONDS, _MISSED_SECONDS):
            await self._current(seconds)
            for tenant_id, found in self._tenants.items():
                if found == (namespace,):
                    return tenant_id
        return None

    async def _current(self, seconds: float = _FRESH_SECONDS) -> tuple[Object, ...]:
        """Return the namespaces, as they were at most so many seconds ago."""
        async with self._reading:
            if self._clock.monotonic() - self._read_at >= seconds:
                self._found = tuple(await self._read())
                self._read_at = self._clock.monotonic()
                tenants = defaultdict[str, tuple[str, ...]](tuple)
                for item in self._found:
                    tenants[_tenant_id(item)] += (item["metadata"]["name"],)
                self._tenants = dict(tenants)
        return self._found

    async def _read(self) -> list[Object]:
        if not self._served:
            return await self._client.metadata(NAMESPACES, None)
        found = [await self._client.find_metadata(NAMESPACES, None, namespace) for namespace in self._served]
        return [item for item in found if item is not None]


def _tenant_id(namespace: Object) -> str:
    metadata = namespace["metadata"]
    label: str | None = metadata.get("labels", {}).get(names.LABEL_TENANT_ID)
    return label or str(metadata["uid"])

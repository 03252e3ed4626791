"""The namespaces of the console: which there are, and which tenant each of them is."""

import asyncio
from collections.abc import Sequence

import structlog

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.resources import NAMESPACES, Object

log = structlog.get_logger()

_FRESH_SECONDS = 10.0


class Namespaces:
    """Namespaces that the console serves: those of ``served``, or all of the cluster. Read again every ten seconds while needed."""

    def __init__(self, client: Client, clock: Clock, served: Sequence[str] = ()) -> None:
        self._client = client
        self._clock = clock
        self._served = tuple(served)
        self._found: tuple[Object, ...] = ()
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
        found = [item["metadata"]["name"] for item in await self._current() if _tenant_id(item) == tenant_id]
        return found[0] if len(found) == 1 else None

    async def tenant_id(self, namespace: str) -> str | None:
        """Return the id of a namespace as a tenant; None if there is no such namespace, or several have its id.

        Raises ApiError and ApiUnavailable.
        """
        found = [_tenant_id(item) for item in await self._current() if item["metadata"]["name"] == namespace]
        return found[0] if found and await self.of_tenant(found[0]) == namespace else None

    async def _current(self) -> tuple[Object, ...]:
        async with self._reading:
            if self._clock.monotonic() - self._read_at >= _FRESH_SECONDS:
                self._found = tuple(await self._read())
                self._read_at = self._clock.monotonic()
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

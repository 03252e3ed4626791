"""The documents with the tools of instances' agents: read when their digest changes, and kept.

A document counts only with the digest that the instance's status shows, because others than the operator may be able to write
ConfigMaps, and what a document says bounds the agent.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from sympozium_api import agent_document, names
from sympozium_api.agent_document import AgentDocument
from sympozium_api.client import ApiUnavailable, Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS

_MOST = 64
"""Documents that are kept, of 512 KiB at most. A web-proxy needs one."""
_STALE_SECONDS = 5.0
"""Seconds for which the document from before counts while the new one is not there as the status shows it."""
_READS = 4
_READ_AGAIN_SECONDS = 0.05


@dataclass
class _Kept:
    digest: str
    document: AgentDocument
    stale_since: float | None = None


class AgentDocuments:
    """Reader of documents. An instance without one costs no read."""

    def __init__(self, client: Client, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now = now
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def of(self, instance: SympoziumInstance) -> AgentDocument | None:
        """Return an instance's document; None: its agent has none. Raises ApiUnavailable while the operator writes the document."""
        digest, key = instance.status.agent_document, instance.key
        if digest is None:
            self._kept.pop(key, None)
            return None
        kept = self._kept.get(key)
        if kept and kept.digest == digest:
            kept.stale_since = None
            return kept.document
        for attempt in range(_READS if kept is None else 1):
            if attempt:
                await asyncio.sleep(_READ_AGAIN_SECONDS)
            document = await self._read(instance)
            if document is not None and agent_document.digest(document) == digest:
                self._keep(key, _Kept(digest, document))
                return document
        if kept is not None:
            kept.stale_since = self._now() if kept.stale_since is None else kept.stale_since
            if self._now() - kept.stale_since < _STALE_SECONDS:
                return kept.document
        raise ApiUnavailable("the agent's tools are being gathered")

    async def _read(self, instance: SympoziumInstance) -> AgentDocument | None:
        namespace, name = instance.key
        found = await self._client.find(CONFIG_MAPS, namespace, names.installed_skills(name))
        return agent_document.of_config_map(found)

    def _keep(self, key: tuple[str, str], kept: _Kept) -> None:
        self._kept.pop(key, None)
        while len(self._kept) >= _MOST:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = kept

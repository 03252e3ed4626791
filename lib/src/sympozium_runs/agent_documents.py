"""The documents with the tools of instances' agents: read when their digest changes, and kept."""

from sympozium_api import agent_document, names
from sympozium_api.agent_document import AgentDocument
from sympozium_api.client import ApiUnavailable, Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONFIG_MAPS

_MOST = 64
"""Documents that are kept, of 512 KiB at most. A web-proxy needs one."""


class AgentDocuments:
    """Reader of documents. An instance without one costs no read."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: dict[tuple[str, str], tuple[str, AgentDocument]] = {}

    async def of(self, instance: SympoziumInstance) -> AgentDocument | None:
        """Return an instance's document; None: its agent has no tools. Raises ApiUnavailable while the operator writes the document."""
        digest, key = instance.status.agent_document, instance.key
        if digest is None:
            self._kept.pop(key, None)
            return None
        kept = self._kept.get(key)
        if kept and kept[0] == digest:
            return kept[1]
        namespace, name = key
        document = agent_document.of_config_map(
            await self._client.find(CONFIG_MAPS, namespace, names.installed_skills(name))
        )
        if document is None:
            raise ApiUnavailable("the agent's tools are being gathered")
        if agent_document.digest(document) == digest:  # else one of the two is about to change
            self._keep(key, digest, document)
        return document

    def _keep(self, key: tuple[str, str], digest: str, document: AgentDocument) -> None:
        self._kept.pop(key, None)
        while len(self._kept) >= _MOST:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = digest, document

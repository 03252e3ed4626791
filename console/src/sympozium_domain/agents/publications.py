"""Publications of agents: each freezes one version. A repeated one finds it by the Idempotency-Key on its ControllerRevision."""

import asyncio
from dataclasses import dataclass

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import CONTROLLER_REVISIONS
from sympozium_domain.agents.versions import AgentVersion, freeze, parsed_revision, published_number
from sympozium_domain.tenant_bounds import TooMany

_NUMBERS = 100
"""Numbers of versions that are tried, because other requests took those before and did not finish."""
_REMEMBERED = 20
"""Last versions among which a repeated publication finds its own."""


@dataclass(frozen=True)
class Publications:
    """The versions that requests freeze. Its methods raise ApiError and ApiUnavailable."""

    client: Client
    most: int
    """Versions of one agent at most."""

    async def frozen(self, instance: SympoziumInstance, key: str | None) -> AgentVersion:
        """Freeze an instance as it is under the first number that nobody took, and return the version.

        ``key``: value of ``names.LABEL_IDEMPOTENCY``, under which an instance is frozen once; None: every request is one of its own.
        Requests with one key in the same moment try the same number, whose name the API server gives to one of them. Raises TooMany.
        """
        published = _published(instance)
        if key is not None:
            last = range(published, max(0, published - _REMEMBERED), -1)
            found = await asyncio.gather(*(self._of_key(instance, number, key) for number in last))
            if own := next(filter(None, found), None):
                return own
        self.check(instance)
        for number in range(published + 1, published + 1 + _NUMBERS):
            version = AgentVersion.of_spec(instance, number)
            if await freeze(self.client, instance, version, key):
                return version
            if key is not None and (own := await self._of_key(instance, number, key)):
                return own
        raise ApiError(409, {"reason": "Conflict", "message": "too many publications of the agent were not finished"})

    def check(self, instance: SympoziumInstance) -> None:
        """Raise TooMany if an instance has as many versions as callers may publish."""
        if (published := _published(instance)) >= self.most:
            raise TooMany(f"The agent has {published} versions, and callers publish no more than {self.most}.")

    async def _of_key(self, instance: SympoziumInstance, number: int, key: str) -> AgentVersion | None:
        """Return the version of a number if it was frozen under the key."""
        name = names.agent_version(instance.metadata.name, number)
        body = await self.client.find(CONTROLLER_REVISIONS, instance.metadata.namespace, name)
        is_own = body is not None and body["metadata"].get("labels", {}).get(names.LABEL_IDEMPOTENCY) == key
        return parsed_revision(body, number) if body is not None and is_own else None


def _published(instance: SympoziumInstance) -> int:
    return published_number(instance.metadata.name, instance.metadata.annotations) or 1

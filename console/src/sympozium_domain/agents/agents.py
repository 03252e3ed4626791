"""Agents of a namespace: created, found, changed, published and deleted, at any replica at once."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import INSTANCES, PROVIDERS, Object
from sympozium_domain import object_ids
from sympozium_domain.agents import agent_manifest
from sympozium_domain.agents.agent import Agent
from sympozium_domain.agents.agent_catalog import AgentCatalog
from sympozium_domain.agents.agent_manifest import AgentFields, NoSuchProvider
from sympozium_domain.agents.publications import Publications
from sympozium_domain.agents.versions import AgentVersion, freeze, published_number
from sympozium_domain.idempotent_creation import Creation
from sympozium_domain.tenant_bounds import TenantBounds, TooMany

SETTLE_SECONDS = 5.0
"""Seconds for which a change waits until the next run gets it."""
_ATTEMPTS = 20
"""Tries of a write that meets others. The operator's reports are among them."""

_OBJECT_NAME = re.compile("[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")

DeleteInstance = Callable[[str, str], Awaitable[object]]
"""Deletes the instance of a namespace and a name after its runs are archived, or marks it for that."""


class AgentDeleting(Exception):
    """An agent whose deletion was asked for."""


@dataclass(frozen=True)
class Agents:
    """The agents of every namespace. Each method raises ApiError and ApiUnavailable."""

    client: Client
    clock: Clock
    catalog: AgentCatalog
    is_whole: Callable[[], bool]
    """Returns True once the catalog has all agents."""
    delete_instance: DeleteInstance
    settle_seconds: float = SETTLE_SECONDS
    bounds: TenantBounds = field(default_factory=TenantBounds)

    async def create(self, creation: Creation, namespace: str, fields: AgentFields, owner: str) -> Agent:
        """Create an agent with a title and a model, published if its status is; of a repeated request return the first one's agent.

        Raises NoSuchProvider, KeyOfAnotherBody, AgentDeleting and TooMany.
        """
        name = creation.name("agent")
        count = await self._count(namespace)
        if count >= self.bounds.agents and not await creation.is_made(self.client, INSTANCES, namespace, name):
            raise TooMany(f"The tenant has {count} agents, and callers make no more than {self.bounds.agents}.")
        await self._check_provider(namespace, agent_manifest.parted(fields.model or "")[0])
        manifest = agent_manifest.manifest(creation, name, fields, owner, self.clock.now())
        body, _ = await creation.create(self.client, INSTANCES, namespace, manifest)
        if Agent.of(body).is_deleting:
            raise AgentDeleting
        if fields.status == "published":
            first = AgentVersion.of_spec(SympoziumInstance.model_validate(manifest), 1)
            await freeze(self.client, SympoziumInstance.model_validate(body), first)
        return await self._settled(body)

    async def page(self, namespace: str, *, limit: int, offset: int) -> tuple[list[Agent], int]:
        """Return at most ``limit`` agents after the ``offset`` newest ones, the newest first, and the number of all."""
        catalog = self.catalog
        if not self.is_whole():
            catalog = AgentCatalog()
            for body in await self.client.list(INSTANCES, namespace):
                catalog.put(body)
        agents, total = catalog.page(namespace, limit=limit, offset=offset)
        return [agent if agent.has_prompt else await self._whole(agent) for agent in agents], total

    async def find(self, namespace: str, agent_id: str) -> Object | None:
        """Return the instance of an agent as it is now; None: the namespace has no agent with this id."""
        known = self.catalog.find(namespace, agent_id)
        body = None if known is None else await self.client.find(INSTANCES, namespace, known.name)
        if known is not None and body is None:  # deleted while the watch was broken
            self.catalog.remove((namespace, known.name))
        if body is None or object_ids.object_id(body) != agent_id:  # made at another replica a moment ago, or nowhere
            look_up = object_ids.find_labelled if self.is_whole() else object_ids.find
            body = await look_up(self.client, INSTANCES, namespace, agent_id)
        if body is None:
            return None
        try:
            return None if Agent.of(body).is_deleting else body
        except ValidationError:  # of a later version's schema; lists do not have it either
            return None

    async def change(self, namespace: str, agent_id: str, fields: AgentFields) -> Agent | None:
        """Give an agent the fields; None: there is no such agent. Published ones keep their version for runs.

        Status ``published`` publishes what the change makes of the agent. Raises NoSuchProvider, and TooMany before anything is written.
        """
        body = await self._write(namespace, agent_id, fields)
        if body is None:
            return None
        if fields.status == "published" and Agent.of(body).status == "draft":
            return await self.publish(namespace, agent_id)
        return await self._settled(body)

    async def publish(self, namespace: str, agent_id: str, key: str | None = None) -> Agent | None:
        """Freeze an agent as it is under the next number, and let runs get that; None: there is no such agent.

        Of requests at once each gets a number of its own, and runs get the highest. Requests with one ``key``, a label's value, share
        their number. Raises TooMany.
        """
        body = await self.find(namespace, agent_id)
        if body is None:
            return None
        instance = SympoziumInstance.model_validate(body)
        version = await self._publications.frozen(instance, key)
        for _ in range(_ATTEMPTS):
            metadata = instance.metadata
            if (published_number(metadata.name, metadata.annotations) or 0) >= version.number:
                return replace(Agent.of(body), version=version.number, status="published")
            stamp = agent_manifest.stamp(instance, self.clock.now())
            stamp["annotations"] |= agent_manifest.publication(metadata.name, version)
            try:
                body = await self.client.patch(INSTANCES, namespace, metadata.name, {"metadata": stamp})
                return await self._settled(body)
            except ApiError as error:
                if error.status != 409:
                    raise
                failure = error
            found = await self.find(namespace, agent_id)
            if found is None:
                return None
            body, instance = found, SympoziumInstance.model_validate(found)
        raise failure

    async def delete(self, namespace: str, agent_id: str) -> bool:
        """Delete an agent, whose runs stay readable in the archive. Return False if there is no such agent."""
        body = await self.find(namespace, agent_id)
        if body is None:
            return False
        await self.delete_instance(namespace, body["metadata"]["name"])
        self.catalog.remove((namespace, body["metadata"]["name"]))
        return True

    async def _count(self, namespace: str) -> int:
        """Return the number of a namespace's agents, those of other replicas a moment late."""
        if self.is_whole():
            return self.catalog.page(namespace, limit=0, offset=0)[1]
        return len(await self.client.metadata(INSTANCES, namespace, resourceVersion="0"))

    async def _write(self, namespace: str, agent_id: str, fields: AgentFields) -> Object | None:
        for _ in range(_ATTEMPTS):
            body = await self.find(namespace, agent_id)
            if body is None:
                return None
            instance = SympoziumInstance.model_validate(body)
            if provider := agent_manifest.new_provider(instance, fields.model):
                await self._check_provider(namespace, provider)
            spec = agent_manifest.patch(instance, fields)
            unpublishes = fields.status == "draft" and Agent.of(body).status == "published"
            if not spec and not unpublishes:
                return body
            stamp = agent_manifest.stamp(instance, self.clock.now())
            if unpublishes:
                stamp["annotations"] |= {names.ANNOTATION_PUBLISHED_DIGEST: None}
            patch = {"metadata": stamp} | ({"spec": spec} if spec else {})
            try:
                if fields.status == "published":
                    await self._check_publishable(instance, patch)
                return await self.client.patch(INSTANCES, namespace, instance.metadata.name, patch, strict=True)
            except ApiError as error:
                if error.status != 409:
                    raise
                failure = error
        raise failure

    async def _check_publishable(self, instance: SympoziumInstance, patch: Object) -> None:
        """Raise TooMany if a patch makes a draft of an agent that may have no more versions. It may as well restore what is published."""
        try:
            self._publications.check(instance)
        except TooMany:
            tried = await self.client.patch(INSTANCES, *instance.key, patch, strict=True, dry_run=True)
            if Agent.of(tried).status == "draft":
                raise

    @property
    def _publications(self) -> Publications:
        return Publications(self.client, self.bounds.versions)

    async def _whole(self, agent: Agent) -> Agent:
        """Return an agent whose prompt was left out with its prompt, unless it cannot be read any more."""
        body = await self.client.find(INSTANCES, agent.namespace, agent.name)
        try:
            return agent if body is None or body["metadata"]["uid"] != agent.uid else Agent.of(body)
        except ValidationError:
            return agent

    async def _check_provider(self, namespace: str, provider: str) -> None:
        if not await self._has_provider(namespace, provider):
            raise NoSuchProvider(provider)

    async def _has_provider(self, namespace: str, provider: str) -> bool:
        if not _OBJECT_NAME.fullmatch(provider):
            return False
        return await self.client.find_metadata(PROVIDERS, namespace, provider) is not None

    async def _settled(self, body: Object) -> Agent:
        """Return an agent once the next run gets it as it is, or after some seconds."""
        agent = Agent.of(body)
        self.catalog.put(body)
        if not agent.is_settled:
            await self.catalog.settled(agent, self.settle_seconds)
        return agent

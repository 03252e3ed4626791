"""Versions of agents: what a run gets of its agent once it is published (decision 0088)."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Self

from pydantic import ValidationError

from sympozium_api import names
from sympozium_api.base import owner_reference
from sympozium_api.client import ApiError, Client
from sympozium_api.instance import SympoziumInstance
from sympozium_api.json_members import compact
from sympozium_api.model_params import ModelParams
from sympozium_api.resources import CONTROLLER_REVISIONS, Object

_CACHED = 128
_DIGEST_DIGITS = 32


@dataclass(frozen=True)
class AgentVersion:
    """One version of an agent, which never changes."""

    number: int
    """Number of the version, from 1."""
    title: str
    """Name of the agent for people."""
    prompt: str
    """System prompt; empty: none."""
    provider_ref: str | None
    """Provider in the same namespace that has the model. None: the instance has the model at ``base_url``."""
    model: str
    """Name of the model at its server."""
    base_url: str | None
    """Base URL of the model's server, where there is no Provider; None: OpenAI's."""
    params: ModelParams
    """Parameters of the model's calls."""

    @classmethod
    def of_spec(cls, instance: SympoziumInstance, number: int) -> Self:
        """Return the version that an instance would have if it were published as it is."""
        agent = instance.spec.agents.default
        return cls(
            number=number,
            title=instance.spec.title or instance.metadata.name,
            prompt=instance.spec.memory.system_prompt or "",
            provider_ref=agent.provider_ref,
            model=agent.model,
            base_url=None if agent.provider_ref else agent.base_url,
            params=agent.params,
        )

    @classmethod
    def of_revision(cls, body: Object) -> Self:
        """Return the version that a ControllerRevision holds. Raises KeyError, TypeError and ValueError if it holds none."""
        data = body["data"]
        return cls(
            number=body["revision"],
            title=data["title"],
            prompt=data["prompt"],
            provider_ref=data["model"].get("providerRef"),
            model=data["model"]["name"],
            base_url=data["model"].get("baseURL"),
            params=ModelParams.model_validate(data["params"]),
        )

    @property
    def data(self) -> Object:
        """Content of the version's ControllerRevision."""
        model: dict[str, str | None] = {
            "name": self.model,
            "providerRef": self.provider_ref,
            "baseURL": self.base_url,
        }
        return {
            "title": self.title,
            "prompt": self.prompt,
            "model": {key: value for key, value in model.items() if value is not None},
            "params": self.params.model_dump(exclude_none=True),
        }

    @property
    def digest(self) -> str:
        """Digest of the version's content, which versions of other numbers may share."""
        return hashlib.sha256(compact(self.data).encode()).hexdigest()[:_DIGEST_DIGITS]

    def revision(self, instance: SympoziumInstance, publication: str | None = None) -> Object:
        """Return the ControllerRevision of the version, which goes with its instance.

        ``publication``: value of ``names.LABEL_IDEMPOTENCY``; None: the version was published without an Idempotency-Key.
        """
        labels = {names.LABEL_INSTANCE: instance.metadata.name, names.MANAGED_BY: "sympozium-console"}
        labels |= {names.LABEL_IDEMPOTENCY: publication} if publication else {}
        return {
            "apiVersion": CONTROLLER_REVISIONS.api_version,
            "kind": CONTROLLER_REVISIONS.kind,
            "metadata": {
                "name": names.agent_version(instance.metadata.name, self.number),
                "labels": labels,
                "ownerReferences": [owner_reference(instance)],
            },
            "revision": self.number,
            "data": self.data,
        }


def published_number(name: str, annotations: dict[str, str]) -> int | None:
    """Return the number of the version that runs of an instance get, by its name and annotations; None: it was never published.

    The annotation names the ControllerRevision, so that a copy of an instance under another name is not published.
    """
    prefix, revision = names.agent_version(name, ""), annotations.get(names.ANNOTATION_PUBLISHED_VERSION, "")
    number = revision.removeprefix(prefix)
    is_number = revision.startswith(prefix) and number.isascii() and number.isdigit()
    return int(number) if is_number and len(number) <= 9 and int(number) >= 1 else None


async def freeze(
    client: Client, instance: SympoziumInstance, version: AgentVersion, publication: str | None = None
) -> bool:
    """Store a version of an instance; return False if its number is taken. Raises ApiError and ApiUnavailable."""
    try:
        await client.create(CONTROLLER_REVISIONS, instance.metadata.namespace, version.revision(instance, publication))
    except ApiError as error:
        if not error.already_exists:
            raise
        return False
    return True


@dataclass
class Versions:
    """Reader of published versions. Its methods raise ApiError and ApiUnavailable."""

    client: Client
    _cache: OrderedDict[tuple[str, int], AgentVersion] = field(default_factory=OrderedDict)
    """Versions that were read last, by their instance's UID and their number."""

    async def published(self, instance: SympoziumInstance) -> AgentVersion | None:
        """Return the version that runs of an instance get; None: it was never published.

        A version costs no read once it was read. The instance's ControllerRevision may be missing, because a backup left it out or
        the console died after it created a published agent: if nothing was edited since, it is made again.
        """
        metadata = instance.metadata
        number = published_number(metadata.name, metadata.annotations)
        if number is None:
            return None
        key = metadata.uid, number
        version = self._cache.get(key) or await self._read(instance, number)
        if version is None:
            version = AgentVersion.of_spec(instance, number)
            if not _is_published(version, instance):
                return None
            if not await freeze(self.client, instance, version):  # a former instance's, or another request was faster
                return version
        self._cache[key] = version
        self._cache.move_to_end(key)
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return version

    async def _read(self, instance: SympoziumInstance, number: int) -> AgentVersion | None:
        metadata = instance.metadata
        name = names.agent_version(metadata.name, number)
        body = await self.client.find(CONTROLLER_REVISIONS, metadata.namespace, name)
        version = None if body is None else parsed_revision(body, number)
        return version if version and body and (_may_own(instance, body) or _is_published(version, instance)) else None


def _may_own(instance: SympoziumInstance, revision: Object) -> bool:
    """Return False for a revision of others: Kubernetes collects that of a former instance of this name some time after the instance."""
    owners = revision["metadata"].get("ownerReferences") or []
    return not owners or any(owner["uid"] == instance.metadata.uid for owner in owners)


def _is_published(version: AgentVersion, instance: SympoziumInstance) -> bool:
    """Return whether a version has the content that an instance was published with."""
    return version.digest == instance.metadata.annotations.get(names.ANNOTATION_PUBLISHED_DIGEST)


def parsed_revision(body: Object, number: int) -> AgentVersion | None:
    """Return the version of a number that a ControllerRevision holds; None: the object is somebody else's."""
    try:
        version = AgentVersion.of_revision(body)
    except (KeyError, TypeError, AttributeError, ValidationError):
        return None
    return version if version.number == number else None

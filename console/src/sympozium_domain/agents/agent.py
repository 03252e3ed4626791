"""An agent as the dialects show it, made from its SympoziumInstance. Pure."""

import zlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Self

from sympozium_api import effective, names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object
from sympozium_domain import object_times
from sympozium_domain.agents.versions import AgentVersion, published_number
from sympozium_domain.object_ids import object_id

Status = Literal["draft", "published"]

_LONG_PROMPT = 2048
"""Characters of a prompt above which it is kept compressed, because a process holds those of all agents."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. The SympoziumInstance has what is edited: the next version, until it is published."""

    id: str
    namespace: str
    name: str
    """Name of the SympoziumInstance."""
    uid: str
    resource_version: str
    owner: str | None
    """User who owns the agent; None: it was not made by a dialect."""
    title: str
    """Name of the agent for people."""
    _prompt: str | bytes | None
    model: str
    """``provider:model``. The provider is a Provider, or of an instance without one the first of its ``authRefs``, or ``openai``."""
    params: dict[str, Any] | None
    """Parameters of the model's calls; None: there are none."""
    status: Status
    """draft: what is edited differs from the version that runs get, or there is no version."""
    version: int
    """Number of the version that runs get; 1 if the agent was never published."""
    is_published: bool
    """True if there is a version, so that the agent may run."""
    created_at: datetime
    updated_at: datetime
    generation: int
    observed_generation: int
    """Generation that the operator has carried out; 0: none."""
    is_deleting: bool
    """True once its deletion was asked for: nobody finds it any more."""

    @property
    def prompt(self) -> str:
        """System prompt; empty: none, or it was left out."""
        return zlib.decompress(self._prompt).decode() if isinstance(self._prompt, bytes) else self._prompt or ""

    @property
    def has_prompt(self) -> bool:
        """False if the prompt was left out."""
        return self._prompt is not None

    @property
    def prompt_bytes(self) -> int:
        """Bytes that the prompt takes as it is kept, about."""
        return len(self._prompt or "")

    def without_prompt(self) -> Self:
        """Return the agent with its prompt left out."""
        return replace(self, _prompt=None)

    @property
    def is_settled(self) -> bool:
        """True if the next run gets the agent as it is: the operator has resolved its model and its tools."""
        return self.observed_generation >= self.generation

    @classmethod
    def of(cls, body: Object) -> Self:
        """Return the agent of an instance. Raises ValidationError for one that this version cannot read."""
        instance = SympoziumInstance.model_validate(body)
        metadata = instance.metadata
        edited = AgentVersion.of_spec(instance, 0)
        number = published_number(metadata.name, metadata.annotations)
        is_published_as_it_is = metadata.annotations.get(names.ANNOTATION_PUBLISHED_DIGEST) == edited.digest
        return cls(
            id=object_id(body),
            namespace=metadata.namespace,
            name=metadata.name,
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            owner=metadata.annotations.get(names.ANNOTATION_OWNER),
            title=edited.title,
            _prompt=_packed(edited.prompt),
            model=model_of(instance),
            params=body["spec"]["agents"]["default"].get("params"),
            status="published" if number is not None and is_published_as_it_is else "draft",
            version=number or 1,
            is_published=number is not None,
            created_at=object_times.created(body),
            updated_at=object_times.updated(body),
            generation=metadata.generation,
            observed_generation=instance.status.observed_generation or 0,
            is_deleting=names.LABEL_DELETING in metadata.labels or metadata.deletion_timestamp is not None,
        )


def model_of(instance: SympoziumInstance) -> str:
    """Return the model of an instance as ``provider:model``."""
    return f"{own_provider(instance)}:{instance.spec.agents.default.model}"


def own_provider(instance: SympoziumInstance) -> str:
    """Return the name of an instance's provider: its Provider's, else that of the first of its ``authRefs``."""
    return instance.spec.agents.default.provider_ref or effective.model(instance).provider


def _packed(prompt: str) -> str | bytes:
    return prompt if len(prompt) <= _LONG_PROMPT else zlib.compress(prompt.encode(errors="surrogatepass"), 1)

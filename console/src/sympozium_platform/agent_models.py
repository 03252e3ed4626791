"""Bodies and answers of agents."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from sympozium_api.model_params import MAX_COMPLETION_TOKENS, MAX_TOKENS, ModelParams
from sympozium_domain.agents.agent import Agent, Status
from sympozium_domain.agents.agent_manifest import AgentFields, parted

_LONGEST_MODEL = 256
_STORED = 2**63
"""Bound of the integers that the API server stores."""


def _model(text: str) -> str:
    provider, model = parted(text)
    if not provider or not 0 < len(model) <= _LONGEST_MODEL:
        raise PydanticCustomError("model", "write a provider and a model, such as openai:gpt-4o-mini")
    return text


def _without_default(schema: dict[str, Any]) -> None:
    """Leave the default out of a description, because a field that is not given stays as it is."""
    schema.pop("default", None)


def _one_limit(params: "LlmParams") -> "LlmParams":
    if params.max_tokens is not None and params.max_completion_tokens is not None:
        message = f"set {MAX_TOKENS} or {MAX_COMPLETION_TOKENS}, whichever the model server knows"
        raise PydanticCustomError("params", message)
    return params


class LlmParams(ModelParams):
    """Parameters of the model's calls, under the names of OpenAI's API."""

    model_config = ConfigDict(alias_generator=None, extra="forbid", strict=True, json_schema_extra={})

    max_tokens: Annotated[int | None, Field(ge=1, lt=_STORED)] = None
    """Largest number of tokens of an answer. Model servers other than OpenAI's know this name."""
    max_completion_tokens: Annotated[int | None, Field(ge=1, lt=_STORED)] = None
    """The same as ``max_tokens``, under the name that OpenAI's reasoning models require."""
    seed: Annotated[int | None, Field(ge=-_STORED, lt=_STORED)] = None
    """Seed of the sampling. Model servers then try to repeat answers."""


Name = Annotated[str, Field(min_length=1, max_length=200, description="Name for people, in any script.")]
Prompt = Annotated[str, Field(max_length=65_536, description="System prompt; empty: none.")]
Model = Annotated[
    str,
    AfterValidator(_model),
    Field(
        max_length=510, description="`provider:model`, with a Provider of the tenant.", examples=["openai:gpt-4o-mini"]
    ),
]
Params = Annotated[LlmParams, AfterValidator(_one_limit)]


class AgentChange(BaseModel):
    """Fields of an agent to change. Those that are not given stay as they are; other ones cannot be changed and are ignored."""

    name: Name = Field("", json_schema_extra=_without_default)
    system_prompt: Prompt = Field("", json_schema_extra=_without_default)
    model: Model = Field("", json_schema_extra=_without_default)
    llm_params: Params | None = Field(None, json_schema_extra=_without_default)
    status: Status = Field("draft", json_schema_extra=_without_default)
    """``published`` publishes what the change makes of the agent."""

    @property
    def fields(self) -> AgentFields:
        """The fields that are given."""
        given = self.model_fields_set
        params = self.llm_params.model_dump(exclude_unset=True, exclude_none=True) if self.llm_params else None
        return AgentFields(
            title=self.name if "name" in given else None,
            prompt=self.system_prompt if "system_prompt" in given else None,
            model=self.model if "model" in given else None,
            params=params,
            removes_params="llm_params" in given and params is None,
            status=self.status if "status" in given else None,
        )


class NewAgent(AgentChange):
    """An agent to create."""

    name: Name
    system_prompt: Prompt = ""
    model: Model = Field("", json_schema_extra=_without_default)
    """Default: PYDANTICAI_DEFAULT_MODEL."""
    llm_params: Params | None = None
    status: Status = "draft"
    """``published``: runs get the agent at once."""

    def fields_of_new(self, default_model: str) -> AgentFields:
        """Return the fields of the agent; ``default_model`` is its model if none is given."""
        return self.fields if "model" in self.model_fields_set else replace(self.fields, model=default_model)


class AgentAnswer(BaseModel):
    """An agent."""

    id: str
    tenant_id: str
    owner_user_id: str | None
    """User who made the agent; null: it was made with Kubernetes' own tools."""
    name: str
    system_prompt: str
    model: str
    llm_params: dict[str, Any] | None
    status: Status
    """``draft``: runs do not get what is shown here, but the last version, if there is one."""
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, agent: Agent, tenant_id: str) -> "AgentAnswer":
        """Return the answer about an agent of a tenant."""
        return cls.model_construct(
            id=agent.id,
            tenant_id=tenant_id,
            owner_user_id=agent.owner,
            name=agent.title,
            system_prompt=agent.prompt,
            model=agent.model,
            llm_params=agent.params,
            status=agent.status,
            version=agent.version,
            created_at=agent.created_at,
            updated_at=agent.updated_at,
        )

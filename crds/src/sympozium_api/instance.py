"""SympoziumInstance: the description of one AI agent, by a platform engineer or an agent author."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import (
    HTTP_URL,
    ApiModel,
    Conditions,
    Duration,
    Name,
    Resource,
    StringMap,
    in_progress,
    matching,
    rule,
    rules,
)
from sympozium_api.header_name import HeaderName
from sympozium_api.model_params import ModelParams
from sympozium_api.web_endpoint import WebEndpoint

ParamMap = Annotated[
    dict[str, Annotated[str, Field(max_length=1024)]],
    Field(max_length=32),
]


Phase = Literal["Pending", "Running", "Serving", "Error"]

ModelName = Annotated[str, Field(min_length=1, max_length=256)]
FallbackModel = Annotated[str, Field(min_length=1, max_length=510)]
"""``model``, or a Provider's name, ``:`` and one of its models."""


class WarmPool(ApiModel):
    """Idle single-use pods that wait for requests at the instance's web endpoint. An instance without a web endpoint has none."""

    model_config = {
        "json_schema_extra": rules(rule("!has(self.max) || self.max >= self.size", "max must be at least size"))
    }

    size: Annotated[int, Field(ge=0, le=500)] = 0
    """Number of idle pods. Default: 0, so that every request starts a pod."""
    max: Annotated[int | None, Field(ge=0, le=500)] = None
    """Number of idle pods when requests arrive faster than pods start. Default: ``size``."""
    idle_ttl: Annotated[Duration, Field(alias="idleTTL")] = "10m"
    """Longest time for which a pod stays idle. Then a new pod replaces it."""


class AgentLimits(ApiModel):
    """Limits of one run of an agent with tools. A run that reaches one ends with the error ``limit_exceeded``."""

    iterations: Annotated[int, Field(ge=1, le=1000)] = 20
    """Most calls of the model."""
    tool_calls: Annotated[int, Field(ge=0, le=10_000)] = 50
    """Most calls of tools."""
    input_tokens: Annotated[int | None, Field(ge=1)] = None
    """Most tokens that all calls of the model together may read. Default: no limit."""
    output_tokens: Annotated[int | None, Field(ge=1)] = None
    """Most tokens that all calls of the model together may write. Default: no limit."""


class AgentSpec(ApiModel):
    """The model behind an agent, and the start of its runs."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!has(self.maxTokens) || !has(self.params) || ((!has(self.params.max_tokens) || self.params.max_tokens <= self.maxTokens)"
                " && (!has(self.params.max_completion_tokens) || self.params.max_completion_tokens <= self.maxTokens))",
                "params.max_tokens and params.max_completion_tokens must be at most maxTokens",
            )
        )
    }

    model: ModelName
    """The model's name, as the model server knows it."""
    allowed_models: Annotated[list[ModelName], Field(max_length=64)] = []
    """Other models of the same server that a request may select by name. Default: none."""
    embedding_models: Annotated[list[ModelName], Field(max_length=16)] = []
    """Models of the same server for ``/v1/embeddings``. The first is the default. If the list is empty, the route does not exist.
    Otherwise the web-proxy's own pod mounts the model's API key, because the web-proxy calls these models without an agent."""
    base_url: Annotated[Annotated[str, Field(max_length=2048), HTTP_URL] | None, Field(alias="baseURL")] = None
    """Base URL of an OpenAI-compatible API, including its version, e.g. ``http://vllm:8000/v1``. Default: OpenAI's API."""
    provider_ref: Name | None = None
    """Provider in the same namespace that has the model. It replaces ``baseURL`` and ``authRefs``, which must not be set beside it.
    Default: ``baseURL`` is called."""
    fallback_models: Annotated[list[FallbackModel], Field(max_length=8)] = []
    """Models that are asked in this order where the one before them does not answer: not reachable, overloaded or failing. ``model``:
    another model of the same server. ``provider:model``: a model of the Provider of this name in the same namespace. A model of the same
    server whose name has a colon is written with a colon before it. Default: none."""
    params: ModelParams = ModelParams()
    """Parameters for the model where a request sends none of its own. A change applies to runs that have not started yet."""
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    """Ceiling of the tokens of an answer. A request for more is lowered to it, and a request without a number gets it. Default: none."""
    run_timeout: Duration = "10m"
    """Longest duration of a run, from its start to its end: from the time at which its pod has a node."""
    queue_timeout: Duration | None = None
    """Longest time that a run waits for its start, in the queue and for a node together. Default: the installation's
    ``runs.queueTimeout``, which is 10m unless changed."""
    env: StringMap = {}
    """Environment variables of the agent's process (proxies, CA files). The agent receives them with its task; no pod spec holds them."""
    provider_headers: StringMap = {}
    """HTTP headers that the agent sends with every call of the model, but not with calls of ``fallbackModels`` of other Providers."""
    forward_headers: Annotated[list[HeaderName], Field(max_length=16)] = []
    """Headers of a caller's request that the agent sends with every call of the model for that request. Nothing stores them.
    ``authorization`` cannot be one of them, because it holds the caller's API key. Default: none."""
    warm_pool: WarmPool = WarmPool()
    """Idle pods that wait for requests."""
    builtin_tools: Annotated[list[Literal["fetch_url"]], Field(max_length=16)] = []
    """Built-in tools that the agent may call without a ToolBinding: fetch_url reads any public web page. Default: none."""
    limits: AgentLimits = AgentLimits()
    """Limits of one run."""


class Agents(ApiModel):
    """The agents of an instance. ``default`` answers its requests."""

    default: AgentSpec
    """The agent that answers requests."""


class AuthRef(ApiModel):
    """A model provider's credentials."""

    provider: Annotated[
        str,
        matching("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "write a word of a-z, 0-9 and -, such as openai", max_length=63),
    ]
    """Name of the provider, e.g. ``openai``."""
    secret: Name
    """Secret in the same namespace. Its key ``<PROVIDER>_API_KEY`` (e.g. ``OPENAI_API_KEY``) or ``api-key`` holds the API key."""


class SkillRef(ApiModel):
    """A skill of the agent: a SkillPack or a ConfigMap."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "has(self.skillPackRef) != has(self.configMapRef)",
                "set exactly one of skillPackRef and configMapRef",
            )
        )
    }

    skill_pack_ref: Name | None = None
    """SkillPack in the same namespace or, if that namespace has none of this name, one that the installation brought."""
    config_map_ref: Name | None = None
    """ConfigMap in the same namespace. Each of its data keys is one skill: the key without ``.md`` is the skill's name, the value its
    instructions. ``description`` in YAML front matter says when to use the skill."""
    params: ParamMap = {}
    """Values of the SkillPack's parameters. They replace the defaults."""


class Memory(ApiModel):
    """Context of every conversation with the agent."""

    system_prompt: Annotated[str | None, Field(max_length=65536)] = None
    """First system message of every conversation."""


class McpServer(ApiModel):
    """An MCP server whose tools the agent may call."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of the server, unique in the instance."""
    url: Annotated[str, Field(max_length=2048), HTTP_URL]
    """URL of the server's Streamable HTTP endpoint."""


class LocalObjectReference(ApiModel):
    """An object in the same namespace."""

    name: Name
    """Name of the object."""


class InstanceSpec(ApiModel):
    """Desired state of a SympoziumInstance."""

    title: Annotated[str | None, Field(max_length=200)] = None
    """Name of the agent for people. MCP clients show it. Default: the instance's name."""
    description: Annotated[str | None, Field(max_length=2048)] = None
    """Purpose of the agent. MCP clients pass it to the models that may call the agent."""
    agents: Agents
    """The agent that answers requests: its model, and the start of its runs."""
    auth_refs: Annotated[list[AuthRef], Field(max_length=16)] = []
    """Credentials of model providers. The first is the default."""
    skills: Annotated[list[SkillRef], Field(max_length=32)] = []
    """Skills of the agent: instructions that follow the system prompt. The skill ``web-endpoint`` gives the instance its HTTP API."""
    memory: Memory = Memory()
    """Context of every conversation with the agent."""
    mcp_servers: Annotated[list[McpServer], Field(max_length=32)] = []
    """MCP servers whose tools the agent may call. Not supported by this version: it refuses an instance that sets them."""
    policy_ref: Name | None = None
    """SympoziumPolicy in the same namespace that bounds the agent, beside those that bind every instance of the namespace."""
    web_endpoint: WebEndpoint = WebEndpoint()
    """The instance's HTTP API."""
    max_concurrent_runs: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Largest number of this instance's runs that have a Job at the same time. The others wait in a queue: fair among API keys, then
    first come, first served."""
    max_queued_runs: Annotated[int, Field(ge=0, le=100_000)] = 200
    """Largest number of runs in the queue. When the queue is full, the web-proxy answers 429. While several API keys have runs in it, no
    API key may use more slots than it leaves free."""
    image_pull_secrets: Annotated[list[LocalObjectReference], Field(max_length=16)] = []
    """Secrets for pulling the images of the instance's pods."""


class WebEndpointStatus(ApiModel):
    """Observed state of the instance's HTTP API."""

    enabled: bool = False
    """True if the HTTP API is switched on."""
    deployment_name: Annotated[str | None, Field(max_length=63)] = None
    """Deployment of the web-proxy."""
    service_name: Annotated[str | None, Field(max_length=63)] = None
    """Service of the web-proxy, port 8080."""
    gateway_ready: bool = False
    """True if a gateway routes to the Service."""
    auth_secret_name: Annotated[str | None, Field(max_length=253)] = None
    """Secret that holds the API keys."""
    url: Annotated[str | None, Field(max_length=2048)] = None
    """Base URL for clients."""


class WarmPoolStatus(ApiModel):
    """Observed state of the instance's warm pool."""

    generation: Annotated[str, Field(max_length=8)]
    """Hash of the idle pods' current template. Pods with another hash are replaced."""
    idle: int = 0
    """Number of idle pods that wait for a run, at most ten seconds old."""


class InstanceStatus(ApiModel):
    """Observed state of a SympoziumInstance, written by the operator."""

    phase: Phase | None = None
    """Summary of the conditions. Serving: the HTTP API answers. Running: the instance has no HTTP API, and AgentRuns may refer to it.
    Pending: not ready yet. Error: a condition says what to correct."""
    conditions: Conditions = []
    """Ready: the summary. Reconciling: the web endpoint starts or changes. Accepted: the spec is valid and supported. ModelReady: the
    model's credentials exist. WebEndpointReady: the HTTP API answers. WithinPolicy: policies allow all that the spec asks for."""
    observed_generation: int | None = None
    """Generation of the spec that this status describes."""
    web_endpoint: WebEndpointStatus | None = None
    """Observed state of the instance's HTTP API."""
    warm_pool: WarmPoolStatus | None = None
    """Observed state of the instance's warm pool, if it has one."""
    agent_document: Annotated[str | None, Field(max_length=64)] = None
    """Digest of the document with the agent's tools and models, which changes with them. Absent: there is no document, because the agent
    has no tools, no ``providerRef`` and no ``fallbackModels``."""


class SympoziumInstance(Resource):
    """An AI agent that answers over the OpenAI API. Each request runs in a fresh pod of its own."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')",
                "metadata.name must be at most 40 characters of a-z, 0-9 and -, must begin with a letter and must not end with -",
                field=".metadata.name",
            )
        )
    }

    spec: InstanceSpec
    status: Annotated[InstanceStatus, in_progress("NotObserved", "the operator has not seen it yet")] = InstanceStatus()

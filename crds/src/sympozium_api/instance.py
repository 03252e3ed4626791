"""SympoziumInstance: one AI agent, described by a platform engineer or an agent author."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Conditions, Duration, Name, Resource, StringMap, rule, rules

ParamMap = Annotated[
    dict[str, Annotated[str, Field(max_length=1024)]],
    Field(max_length=32),
]


ModelName = Annotated[str, Field(min_length=1, max_length=256)]


_OWN_HEADERS = [
    "authorization",
    "proxy-authorization",
    "host",
    "connection",
    "transfer-encoding",
    "content-length",
    "content-type",
    "accept",
    "accept-encoding",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "te",
    "trailer",
    "upgrade",
    "expect",
]
HeaderName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9_-]+$",
        json_schema_extra=rules(
            rule(
                f"!(self.lowerAscii() in {_OWN_HEADERS})",
                "headers of the connection, of the API key and of the request itself are not forwarded",
            )
        ),
    ),
]


class WarmPool(ApiModel):
    """Idle single-use pods kept ready for requests. They wait at the instance's web endpoint: without one there are none."""

    model_config = {
        "json_schema_extra": rules(rule("!has(self.max) || self.max >= self.size", "max must not be below size"))
    }

    size: Annotated[int, Field(ge=0, le=500)] = 0
    """How many idle pods are kept. Default: none, every request starts its pod."""
    max: Annotated[int | None, Field(ge=0, le=500)] = None
    """How many are kept when requests come faster than pods start. Default: ``size``."""
    idle_ttl: Annotated[Duration, Field(alias="idleTTL")] = "10m"
    """How long a pod may be idle; then another takes its place."""


class Agent(ApiModel):
    """The model behind an agent, and how its runs start."""

    model: ModelName
    """The model's name, as the model server knows it."""
    allowed_models: Annotated[list[ModelName], Field(max_length=64)] = []
    """Other models of the same server that a request may name; it is then answered by that one. Default: none."""
    embedding_models: Annotated[list[ModelName], Field(max_length=16)] = []
    """Models of the same server that ``/v1/embeddings`` calls; the first is the default. Empty: there is no such route. Where there are
    any, the web-proxy's own pod has the model's API key, since it calls them without an agent."""
    base_url: Annotated[str | None, Field(alias="baseURL", max_length=2048, pattern=r"^https?://")] = None
    """Base URL of an OpenAI-compatible API, up to and with its version, e.g. ``http://vllm:8000/v1``. Default: OpenAI's own."""
    run_timeout: Duration = "10m"
    """How long a run may take from its Job's creation to its end."""
    env: StringMap = {}
    """Environment of the agent's process (proxies, CA files). It reaches the agent with its task and stands in no pod spec."""
    provider_headers: StringMap = {}
    """HTTP headers sent with every call of the model."""
    forward_headers: Annotated[list[HeaderName], Field(max_length=16)] = []
    """Headers of a caller's request that are sent with every call of the model for that request's run, and kept nowhere. Default: none.
    The caller's ``authorization``, which is its API key here, cannot be one of them."""
    warm_pool: WarmPool = WarmPool()
    """Idle pods kept ready."""


class Agents(ApiModel):
    """The agents of an instance; ``default`` answers its requests."""

    default: Agent
    """The agent that answers requests."""


class AuthRef(ApiModel):
    """A model provider's credentials."""

    provider: Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """The provider's name, e.g. ``openai``."""
    secret: Name
    """A Secret in the same namespace. Its key ``<PROVIDER>_API_KEY`` (``OPENAI_API_KEY``) or ``api-key`` holds the API key."""


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
    """A SkillPack: one in the same namespace or, where there is none of that name, one that came with the installation."""
    config_map_ref: Name | None = None
    """A ConfigMap in the same namespace. Each of its data keys is a skill: the key, without ``.md``, its name, the value its
    instructions. ``description`` in YAML front matter says when to use it."""
    params: ParamMap = {}
    """Values for the SkillPack's parameters, in place of their defaults."""


class Memory(ApiModel):
    """What the agent always knows."""

    system_prompt: Annotated[str | None, Field(max_length=65536)] = None
    """The first system message of every conversation."""


class McpServer(ApiModel):
    """An MCP server whose tools the agent may call."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """Name of the server, unique in the instance."""
    url: Annotated[str, Field(max_length=2048, pattern=r"^https?://")]
    """Address of its Streamable HTTP endpoint."""


class RateLimit(ApiModel):
    """A token bucket per API key."""

    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 60
    """Requests that a key may make per minute, in the long run."""
    burst_size: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """Requests that a key may make at once."""


class Autoscaling(ApiModel):
    """A HorizontalPodAutoscaler of the web-proxy; the cluster needs a metrics server for it."""

    min_replicas: Annotated[int | None, Field(ge=1, le=100)] = None
    """Replicas at least. Default: ``replicas``."""
    max_replicas: Annotated[int, Field(ge=1, le=100)]
    """Replicas at most."""
    target_cpu_utilization_percentage: Annotated[int, Field(alias="targetCPUUtilizationPercentage", ge=1, le=1000)] = 80
    """The use of CPU, as a share of what the web-proxies ask for, at which there are enough of them."""


class OAuth(ApiModel):
    """An authorization server whose access tokens (JWTs) are accepted beside API keys."""

    issuer: Annotated[str, Field(max_length=2048, pattern=r"^https://[^/?#@\s]+(/[^?#\s]*)?$")]
    """The authorization server, exactly as the claim ``iss`` of its tokens has it."""
    audiences: Annotated[list[Annotated[str, Field(min_length=1, max_length=2048)]], Field(min_length=1, max_length=16)]
    """Names of this endpoint at the authorization server: a token's claim ``aud`` must have one of them."""
    required_scopes: Annotated[
        list[Annotated[str, Field(max_length=256, pattern=r"^[!#-\[\]-~]+$")]], Field(max_length=32)
    ] = []
    """Scopes that a token must have, all of them, in its claim ``scope`` or ``scp``."""
    jwks_uri: Annotated[
        str | None, Field(alias="jwksURI", max_length=2048, pattern=r"^https://[^/?#@\s]+(/[^#\s]*)?$")
    ] = None
    """Where the issuer's public keys are. Default: where its metadata says (OpenID Connect Discovery, or RFC 8414)."""
    certificate_authority: Annotated[str | None, Field(min_length=1, max_length=65536)] = None
    """Certificates in PEM that the issuer's own is verified with. Default: the public authorities."""


class WebEndpoint(ApiModel):
    """The instance's HTTP API; the same as the skill ``web-endpoint``, whose params win over these fields."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!has(self.autoscaling) || (has(self.autoscaling.minReplicas) ? self.autoscaling.minReplicas : self.replicas)"
                " <= self.autoscaling.maxReplicas",
                "autoscaling.maxReplicas must not be below autoscaling.minReplicas, or below replicas where that is not set",
            )
        )
    }

    enabled: bool = False
    """Whether the instance has an HTTP API."""
    hostname: Annotated[str | None, Field(max_length=253)] = None
    """Host name of its route. Default: ``<instance>.<baseDomain>``."""
    auth_secret_ref: Name | None = None
    """A Secret in the same namespace whose keys that begin with ``api-key`` are the valid API keys. Default: one is generated."""
    rate_limit: RateLimit = RateLimit()
    """How many requests an API key may make."""
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    """Replicas of the web-proxy."""
    autoscaling: Autoscaling | None = None
    """Let their number follow the load. Default: ``replicas`` is their number."""
    oauth: OAuth | None = None
    """Accept the access tokens of an authorization server beside API keys. Default: API keys only."""
    allowed_origins: Annotated[
        list[Annotated[str, Field(max_length=300, pattern=r"^https?://[^/?#\sA-Z]+$")]], Field(max_length=32)
    ] = []
    """Origins of the web pages that may call this endpoint from a browser, e.g. ``https://chat.example.com``. Over MCP, requests of all
    others are refused, except of the endpoint's own; those without an origin pass, for programs send none."""
    allowed_hosts: Annotated[
        list[Annotated[str, Field(max_length=300, pattern=r"^[^/?#\sA-Z]+$")]], Field(max_length=32)
    ] = []
    """What the header ``Host`` of requests over MCP may be, with its port where it has one, e.g. ``127.0.0.1:8080``; the host of
    ``status.webEndpoint.url`` always may. Default: anything, for a Service, a port-forward and a gateway all have other names."""


class LocalObjectReference(ApiModel):
    """An object in the same namespace."""

    name: Name
    """Its name."""


class InstanceSpec(ApiModel):
    """What a SympoziumInstance asks for."""

    title: Annotated[str | None, Field(max_length=128)] = None
    """The agent's name for people: MCP clients show it. Default: the instance's name."""
    description: Annotated[str | None, Field(max_length=2048)] = None
    """What the agent is good for: MCP clients tell it to the models that may call the agent."""
    agents: Agents
    """The model and how runs start."""
    auth_refs: Annotated[list[AuthRef], Field(max_length=16)] = []
    """Credentials of model providers; the first is the default."""
    skills: Annotated[list[SkillRef], Field(max_length=32)] = []
    """The agent's skills: instructions that follow the system prompt. The skill ``web-endpoint`` gives the instance its HTTP API."""
    memory: Memory = Memory()
    """What the agent always knows."""
    mcp_servers: Annotated[list[McpServer], Field(max_length=32)] = []
    """MCP servers whose tools the agent may call. This version refuses an instance that has any."""
    policy_ref: Name | None = None
    """A policy that bounds the agent's tools. This version refuses an instance that has one."""
    web_endpoint: WebEndpoint = WebEndpoint()
    """The instance's HTTP API."""
    max_concurrent_runs: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Runs of this instance that have a Job at the same time; the others wait: fair among API keys, first come, first served."""
    max_queued_runs: Annotated[int, Field(ge=0, le=100_000)] = 200
    """Runs that may wait; beyond it the web-proxy answers 429. Of several API keys none gets more places than it leaves free."""
    image_pull_secrets: Annotated[list[LocalObjectReference], Field(max_length=16)] = []
    """Secrets with which the images of the instance's pods are pulled."""


class WebEndpointStatus(ApiModel):
    """The instance's HTTP API as it is."""

    enabled: bool = False
    """Whether the HTTP API is switched on."""
    deployment_name: Annotated[str | None, Field(max_length=63)] = None
    """The Deployment of the web-proxy."""
    service_name: Annotated[str | None, Field(max_length=63)] = None
    """The Service in front of it, port 8080."""
    gateway_ready: bool = False
    """Whether a gateway routes to the Service."""
    auth_secret_name: Annotated[str | None, Field(max_length=253)] = None
    """The Secret that holds the API keys."""
    url: Annotated[str | None, Field(max_length=2048)] = None
    """Base URL for clients."""


class WarmPoolStatus(ApiModel):
    """The instance's warm pool as it is."""

    generation: Annotated[str, Field(max_length=8)]
    """What idle pods are made from now, as a hash; those of another one are replaced."""
    idle: int = 0
    """Idle pods that wait for a run, as they were at most ten seconds ago."""


class InstanceStatus(ApiModel):
    """What the operator reports of a SympoziumInstance."""

    phase: Literal["Pending", "Running", "Serving", "Error"] | None = None
    """Serving: its HTTP API answers. Running: it has none, and AgentRuns may name it."""
    conditions: Conditions = []
    """Accepted: the spec can be acted on. ModelReady: the model's credentials are there. WebEndpointReady: the HTTP API answers."""
    observed_generation: int | None = None
    """The generation of the spec that this status is about."""
    web_endpoint: WebEndpointStatus | None = None
    """The instance's HTTP API as it is."""
    warm_pool: WarmPoolStatus | None = None
    """The instance's warm pool, if it has one."""


class SympoziumInstance(Resource):
    """An AI agent that answers over the OpenAI API: each request runs in a fresh pod of its own."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')",
                "metadata.name must be at most 40 characters of a-z, 0-9 and -, begin with a letter and not end with -",
            )
        )
    }

    spec: InstanceSpec
    status: InstanceStatus = InstanceStatus()

"""SympoziumPolicy: bounds of what agents of a namespace may do, whatever their instances, their runs and their models ask for."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Conditions, Duration, Resource, in_progress, matching, rule, rules

MOST_PATTERNS = 64
"""Most patterns of one list."""

FunctionPattern = Annotated[
    str,
    matching(
        "^[A-Za-z0-9_*-]+$",
        "write a function's name of A-Z, a-z, 0-9, _ and -, with * for any characters, such as get_*",
        max_length=64,
    ),
]
ModelPattern = Annotated[
    str,
    matching(
        r"^([*]|[a-z0-9_.*-]+:[\x21-\x7e]+)$",
        "write provider:model with * for any characters, such as openai_compat:gpt-4o*, or * alone for all",
        max_length=128,
    ),
]
ProviderPattern = Annotated[
    str,
    matching(
        "^[a-z0-9_.*-]+$",
        "write a Provider's name, or openai_compat for instances without one, with * for any characters",
        max_length=128,
    ),
]
ImagePattern = Annotated[
    str,
    matching(
        "^[A-Za-z0-9_./:@*-]+$",
        "write an image with its registry, with * for any characters, such as ghcr.io/acme/*",
        max_length=128,
    ),
]
HostPattern = Annotated[
    str,
    matching(
        "^[a-z0-9_.:*-]+$",
        "write a host name in lower case without port, with * for any characters, such as api.example.com or *.example.com",
        max_length=128,
    ),
]


class FunctionRules(ApiModel):
    """Functions of tools. A function is allowed that no ``deny`` pattern matches and, if there is ``allow``, one of its patterns."""

    allow: Annotated[list[FunctionPattern] | None, Field(min_length=1, max_length=MOST_PATTERNS)] = None
    """Patterns of what is allowed. Absent: all. To allow nothing, deny ``*``."""
    deny: Annotated[list[FunctionPattern], Field(max_length=MOST_PATTERNS)] = []
    """Patterns of what is not allowed, whatever the case of its letters. ``deny`` wins over ``allow``."""


class ModelRules(ApiModel):
    """Models. A model is allowed that no ``deny`` pattern matches and, if there is ``allow``, one of its patterns."""

    allow: Annotated[list[ModelPattern] | None, Field(min_length=1, max_length=MOST_PATTERNS)] = None
    """Patterns of what is allowed. Absent: all. To allow nothing, deny ``*``."""
    deny: Annotated[list[ModelPattern], Field(max_length=MOST_PATTERNS)] = []
    """Patterns of what is not allowed, whatever the case of its letters. ``deny`` wins over ``allow``."""


class ProviderRules(ApiModel):
    """Providers. A Provider is allowed that no ``deny`` pattern matches and, if there is ``allow``, one of its patterns."""

    allow: Annotated[list[ProviderPattern] | None, Field(min_length=1, max_length=MOST_PATTERNS)] = None
    """Patterns of what is allowed. Absent: all. To allow nothing, deny ``*``."""
    deny: Annotated[list[ProviderPattern], Field(max_length=MOST_PATTERNS)] = []
    """Patterns of what is not allowed. ``deny`` wins over ``allow``."""


class ImageRules(ApiModel):
    """Images. An image is allowed that no ``deny`` pattern matches and, if there is ``allow``, one of its patterns."""

    allow: Annotated[list[ImagePattern] | None, Field(min_length=1, max_length=MOST_PATTERNS)] = None
    """Patterns of what is allowed. Absent: all. To allow nothing, deny ``*``."""
    deny: Annotated[list[ImagePattern], Field(max_length=MOST_PATTERNS)] = []
    """Patterns of what is not allowed, whatever the case of its letters. ``deny`` wins over ``allow``."""


class HostRules(ApiModel):
    """Hosts. A host is allowed that no ``deny`` pattern matches and, if there is ``allow``, one of its patterns."""

    allow: Annotated[list[HostPattern] | None, Field(min_length=1, max_length=MOST_PATTERNS)] = None
    """Patterns of what is allowed. Absent: all. To allow nothing, deny ``*``."""
    deny: Annotated[list[HostPattern], Field(max_length=MOST_PATTERNS)] = []
    """Patterns of what is not allowed. A name that is denied can have other names and addresses. ``deny`` wins over ``allow``."""


class PolicyLimits(ApiModel):
    """Largest limits. Of these and the instance's and run's own, the smallest counts. Absent: no bound."""

    iterations: Annotated[int | None, Field(ge=1)] = None
    """Most calls of the model in a run."""
    tool_calls: Annotated[int | None, Field(ge=0)] = None
    """Most calls of tools in a run."""
    input_tokens: Annotated[int | None, Field(ge=1)] = None
    """Most tokens that all calls of the model in a run of an agent with tools may read together."""
    output_tokens: Annotated[int | None, Field(ge=1)] = None
    """Most tokens that all calls of the model in a run may write together."""
    timeout: Duration | None = None
    """Longest duration of a run."""
    concurrent_runs: Annotated[int | None, Field(ge=1)] = None
    """Most runs of one instance that have a Job at the same time."""


class FetchUrlSettings(ApiModel):
    """Bounds of the built-in tool fetch_url."""

    timeout_seconds: Annotated[int | None, Field(ge=1, le=10)] = None
    """Longest time of a call in seconds. Default: 10."""
    max_bytes: Annotated[int | None, Field(ge=1024, le=1024 * 1024)] = None
    """Bytes of a page that are read. Default: 1 MiB."""


class BuiltinSettings(ApiModel):
    """Bounds of built-in tools, by the tool's name."""

    fetch_url: Annotated[FetchUrlSettings, Field(alias="fetch_url")] = FetchUrlSettings()
    """Bounds of the built-in tool fetch_url."""


class PolicyBounds(ApiModel):
    """Content of a SympoziumPolicy without what it binds."""

    tools: FunctionRules = FunctionRules()
    """Functions of Tools that agents may be offered and may call."""
    builtins: FunctionRules = FunctionRules()
    """Built-in tools that agents may be offered and may call, also those that a Tool makes available."""
    models: ModelRules = ModelRules()
    """Models that agents may call, as ``provider:model``. Of an instance without a Provider, the provider is ``openai_compat``."""
    providers: ProviderRules = ProviderRules()
    """Providers that agents may use, by name. Of an instance without a Provider, the name is ``openai_compat``."""
    images: ImageRules = ImageRules()
    """Images of the instance's pods."""
    egress_hosts: HostRules = HostRules()
    """Hosts that calls of tools, redirects included, and calls of models may reach."""
    limits: PolicyLimits = PolicyLimits()
    """Largest limits of runs."""
    builtin_settings: BuiltinSettings = BuiltinSettings()
    """Bounds of built-in tools."""
    commands: bool = False
    """True: Tools that run a command in the agent's pod are allowed."""
    delegation: bool = True
    """False: runs that another run started (``parent``) are refused."""
    require_signed: bool = False
    """True: of Tools only signed ones are allowed."""
    require_approval: Annotated[list[FunctionPattern], Field(max_length=MOST_PATTERNS)] = []
    """Functions of tools whose calls a person must approve. This version cannot ask for approval, so it refuses these tools."""


class LabelRequirement(ApiModel):
    """One requirement of a label selector."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "self.operator in ['In','NotIn'] == (has(self.values) && size(self.values) > 0)",
                "operators In and NotIn require values, Exists and DoesNotExist exclude them",
            )
        )
    }

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """Key of a label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """Relation of the label to ``values``."""
    values: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=64)] = []
    """Values of the label, for In and NotIn."""


class NamespaceSelector(ApiModel):
    """A label selector of namespaces. All its requirements must hold. Empty: every namespace."""

    match_labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=16)] = {}
    """Labels that a namespace must have."""
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=16)] = []
    """Further requirements."""


class PolicySpec(PolicyBounds):
    """Content of a SympoziumPolicy. It binds an instance that names it, and those that ``appliesTo`` and ``namespaceSelector`` say."""

    applies_to: Literal["all"] | None = None
    """all: binds every instance of the namespace. Absent: only instances that name the policy as ``policyRef``."""
    namespace_selector: NamespaceSelector | None = None
    """Namespaces of which every instance is bound, whatever it says. It counts in the operator's namespace only."""


class PolicyStatus(ApiModel):
    """Observed state of a SympoziumPolicy, written by the operator."""

    bound_instances: Annotated[int | None, Field(ge=0)] = None
    """Number of instances that the policy binds."""
    conditions: Conditions = []
    """Accepted: the policy is valid and in force. While it is False, the instances that it binds are refused."""
    observed_generation: int | None = None
    """Generation of the spec that this status describes."""


class SympoziumPolicy(Resource):
    """Bounds of what agents may do. Of all policies that bind an instance, the strictest counts."""

    spec: PolicySpec = PolicySpec()
    status: Annotated[PolicyStatus, in_progress("NotObserved", "the operator has not seen it yet")] = PolicyStatus()

"""Provider: a model provider that the agents of a namespace share."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from sympozium_api.base import (
    NO_SPACE,
    ApiModel,
    Conditions,
    Name,
    Resource,
    StringMap,
    in_progress,
    matching,
    rule,
    rules,
)

ProviderType = Literal[
    "openai_compat",
    "anthropic_native",
    "gemini_native",
    "azure_openai",
    "groq",
    "deepseek",
    "mistral",
    "xai",
    "ollama",
]
PROVIDER_TYPES: tuple[ProviderType, ...] = get_args(ProviderType)

DEFAULT_BASES: dict[ProviderType, str] = {
    "anthropic_native": "https://api.anthropic.com/v1",
    "gemini_native": "https://generativelanguage.googleapis.com/v1beta",
    "groq": "https://api.groq.com/openai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "mistral": "https://api.mistral.ai/v1",
    "xai": "https://api.x.ai/v1",
}
"""Base URL of each type that has an address of its own, up to and with its version."""
NEED_BASE = [kind for kind in PROVIDER_TYPES if kind not in DEFAULT_BASES]

ACCEPTED = "Accepted"
REACHABLE = "Reachable"
"""Types of a Provider's conditions."""

_LINK_LOCAL = r"(?i)^https?://(169[.]254[.][0-9]+[.][0-9]+([.:/?]|$)|\[(0{0,4}:){1,7}(ffff:)?(169[.]254[.]|a9fe:)|\[fe[89ab][0-9a-f]:)"
"""Beginning of a URL whose host is a link-local address. Cloud providers hand out credentials there."""


class ProviderSpec(ApiModel):
    """Content of a Provider."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                f"has(self.apiBase) || !(self.type in {NEED_BASE})",
                f"apiBase is required with type {', '.join(NEED_BASE[:-1])} and {NEED_BASE[-1]}",
            ),
            rule(
                "!has(self.apiVersion) || self.type == 'azure_openai'",
                "apiVersion is only allowed with type azure_openai",
            ),
        )
    }

    title: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    """Name of the provider for people. Default: the object's name."""
    type: ProviderType
    """Dialect of the provider's API. openai_compat: OpenAI's chat completions. anthropic_native: Anthropic's Messages. gemini_native:
    Gemini's generateContent. azure_openai: Azure's deployments. The others are OpenAI's with the provider's own differences."""
    api_base: Annotated[
        str | None,
        matching(
            rf"^https?://[^{NO_SPACE}/?#@\\]+([/?][^{NO_SPACE}#\\]*)?$",
            "write a URL with http:// or https://, without user information and #, such as https://llm.example.com/v1",
            max_length=2048,
            json_schema_extra=rules(
                rule(
                    f"!self.matches(r'{_LINK_LOCAL}')",
                    "a link-local address is not the address of a model server; write the server's host name",
                )
            ),
        ),
    ] = None
    """Base URL of the API, up to and with its version, e.g. ``https://api.openai.com/v1``. Of azure_openai the resource's address. Required
    with openai_compat, azure_openai and ollama. Default: the provider's own address."""
    secret_ref: Name | None = None
    """Secret in the same namespace with the label ``sympozium.ai/model-key: "true"``. Its entry ``<TYPE>_API_KEY``
    (``ANTHROPIC_NATIVE_API_KEY``, or ``ANTHROPIC_API_KEY``) or ``api-key`` holds the API key. Default: the provider is called without
    one."""
    api_version: Annotated[
        str | None,
        matching("^[0-9A-Za-z][0-9A-Za-z.-]*$", "write a version as Azure has it, such as 2024-10-21", max_length=64),
    ] = None
    """Version of Azure's API. Default: 2024-10-21; with an ``apiBase`` that ends with ``/openai/v1`` none."""
    headers: StringMap = {}
    """HTTP headers that agents send with every call of the provider. Values that are secret belong into ``headersSecretRef``."""
    headers_secret_ref: Name | None = None
    """Secret in the same namespace with the label ``sympozium.ai/model-key: "true"``. Each entry is a header: its name, and its value.
    They replace those of the same name in ``headers``."""
    enabled: bool = True
    """False: no agent calls the provider. Instances that name it are not ready."""


class ProviderStatus(ApiModel):
    """Observed state of a Provider, written by the operator."""

    api_base: Annotated[str | None, Field(max_length=2048)] = None
    """Base URL that agents call."""
    tried_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """Time of the last call that tried the provider."""
    tried_model: Annotated[str | None, Field(max_length=256)] = None
    """Model of the last call that tried the provider."""
    tried_digest: Annotated[str | None, Field(max_length=64)] = None
    """Digest of the spec, the Secrets and the model that the last call tried."""
    conditions: Conditions = []
    """Accepted: the spec is valid, and its Secrets have what it needs. Reachable: the last call that tried the provider was answered
    with a completion."""


class Provider(Resource):
    """A model provider that the agents of a namespace share."""

    spec: ProviderSpec
    status: Annotated[ProviderStatus, in_progress("NotObserved", "the operator has not seen it yet")] = ProviderStatus()

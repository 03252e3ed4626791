"""Tool: an action that agents may call once a ToolBinding grants it to them."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import (
    NO_SPACE,
    ApiModel,
    Conditions,
    Name,
    OpenObject,
    Resource,
    StringMap,
    in_progress,
    matching,
    rule,
    rules,
)

FUNCTION_PATTERN = "^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
FunctionName = Annotated[
    str,
    matching(
        FUNCTION_PATTERN,
        "write at most 64 characters of A-Z, a-z, 0-9, _ and -, beginning with a letter or _, such as get_weather",
        max_length=64,
    ),
]
"""Name under which a model calls a tool."""

MAX_PARAMETERS_BYTES = 32 * 1024
"""Longest JSON Schema of a tool's parameters, in bytes of its JSON text."""


class Webhook(ApiModel):
    """An HTTP server that carries out the tool's calls."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!has(self.secretRef) || (has(self.auth) && self.auth in ['apiKey','oauth2'])",
                "secretRef is only allowed with auth: apiKey or auth: oauth2",
            ),
        )
    }

    url: Annotated[
        str,
        matching(
            rf"^https?://[^{NO_SPACE}/?#@\\]+([/?#][^{NO_SPACE}\\]*)?$",
            "write a URL with http:// or https:// and without user information, such as https://api.example.com/weather",
            max_length=2048,
        ),
    ]
    """URL that is called. Its host must be in ``allowedDomains`` of the ToolBinding."""
    method: Literal["POST"] = "POST"
    """HTTP method. The body is the call's arguments, as JSON."""
    headers: StringMap = {}
    """Headers of each call. Credentials belong into the Secret instead."""
    auth: Literal["none", "apiKey", "oauth2", "service"] = "none"
    """none: no credentials. apiKey: the header ``x-api-key``. oauth2: an access token by client credentials. service: a token of the
    egress guard's service account, whose audience is the URL's host; of a host without a dot, ``<host>.<namespace>.svc``."""
    secret_ref: Name | None = None
    """Secret in the same namespace with the label ``sympozium.ai/tool-key: "true"``. For ``apiKey`` its entry ``api-key``, for ``oauth2``
    its entries ``token_url``, ``client_id``, ``client_secret`` and, if needed, ``scope``. Without it ``secretKey`` of the ToolBinding is
    required."""


class Builtin(ApiModel):
    """A tool that the egress guard itself carries out."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """``fetch_url``: reads a web page as text. Any other name: the skill of this name of the agent's SkillPacks, whose instructions are
    the result. Calls fail where the agent has no such skill."""


class ToolSpec(ApiModel):
    """Content of a Tool."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "(has(self.webhook) ? 1 : 0) + (has(self.builtin) ? 1 : 0) + (has(self.command) ? 1 : 0)"
                " + (has(self.signed) ? 1 : 0) == 1",
                "set exactly one of webhook, builtin, command and signed",
            ),
            rule(
                "!(has(self.parameters) && has(self.parametersText))",
                "parameters and parametersText exclude each other",
            ),
        )
    }

    title: Annotated[str, Field(min_length=1, max_length=200)]
    """Name of the tool for people, in any script."""
    function: FunctionName | None = None
    """Name under which models call the tool, unique in the namespace. Default: made from ``title``; ``status.function`` shows it."""
    description: Annotated[str | None, Field(max_length=4096)] = None
    """Purpose of the tool, for models."""
    parameters: OpenObject | None = None
    """JSON Schema of the arguments, with ``type: object``; at most 32 KiB. Kubernetes sorts its keys; ``parametersText`` keeps them.
    Default: a call has no arguments; with ``builtin``, the built-in tool's own."""
    parameters_text: Annotated[str | None, Field(min_length=2, max_length=MAX_PARAMETERS_BYTES)] = None
    """The same as ``parameters``, as JSON text whose order reaches the model."""
    webhook: Webhook | None = None
    """An HTTP server that carries out the calls."""
    builtin: Builtin | None = None
    """A tool that the egress guard itself carries out."""
    command: OpenObject | None = None
    """A command in the agent's pod. Not supported by this version: it refuses a Tool that sets it."""
    signed: OpenObject | None = None
    """A reviewed and signed tool. Not supported by this version: it refuses a Tool that sets it."""
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 15
    """Seconds that a call may take, retries included. A ToolBinding's ``timeoutMs`` may lower it."""
    enabled: bool = True
    """False: no agent is offered the tool, and its calls are refused."""
    deprecated: bool = False
    """True: the tool should not be granted to further agents. It still can be called."""
    version: Annotated[str | None, Field(max_length=64)] = None
    """Version of the tool, for people."""


class ToolStatus(ApiModel):
    """Observed state of a Tool, written by the operator."""

    function: Annotated[str | None, Field(max_length=64)] = None
    """Name under which models call the tool."""
    conditions: Conditions = []
    """InForce: the tool is valid and enabled, so that a ToolBinding can grant it."""


class Tool(Resource):
    """An action that agents may call once a ToolBinding grants it to them."""

    spec: ToolSpec
    status: Annotated[ToolStatus, in_progress("NotObserved", "the operator has not seen it yet")] = ToolStatus()

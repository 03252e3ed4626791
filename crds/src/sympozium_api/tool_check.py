"""Checks of Tools and ToolBindings that operator and egress guard share. Pure."""

import functools
from dataclasses import dataclass

from sympozium_api.agent_protocol import find_unsendable
from sympozium_api.tool import Tool, ToolSpec, Webhook
from sympozium_api.tool_address import AddressError, host_of
from sympozium_api.tool_binding import ToolBinding
from sympozium_api.tool_schema import Parameters, SchemaError, parameters_text

RESERVED_HEADERS = frozenset(
    {
        *("connection", "content-encoding", "content-length", "content-type", "expect", "host", "idempotency-key"),
        *(
            "keep-alive",
            "proxy-connection",
            "te",
            "traceparent",
            "tracestate",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ),
    }
)
"""Headers that belong to the connection, or that the guard itself sets."""
_WITH_SECRET = ("apiKey", "oauth2")


@dataclass(frozen=True)
class Flaw:
    """The reason why a Tool or ToolBinding cannot hold: a stable word, and a sentence that begins with the field."""

    reason: str
    message: str


def of_tool(tool: Tool) -> Flaw | None:
    """Return the reason why no ToolBinding can grant a Tool; None if one can."""
    spec = tool.spec
    for field in ("command", "signed"):
        if getattr(spec, field) is not None:
            return Flaw("NotSupported", f"spec.{field}: this version does not support tools of this form")
    if (spec.webhook is None) == (spec.builtin is None):
        return Flaw("InvalidSpec", "spec: set exactly one of webhook, builtin, command and signed")
    disabled = None if spec.enabled else Flaw("Disabled", "spec.enabled: the tool is switched off")
    return _of_parameters(spec) or (_of_webhook(spec.webhook) if spec.webhook else None) or disabled


def _of_parameters(spec: ToolSpec) -> Flaw | None:
    reason = _flaw_of_schema(parameters_text(spec))
    field = "parameters" if spec.parameters_text is None else "parametersText"
    return Flaw("InvalidParameters", f"spec.{field}: {reason}") if reason else None


@functools.lru_cache(256)
def _flaw_of_schema(text: str) -> str | None:
    """Return the reason why a schema cannot hold; kept, because it is asked before each call and a large schema takes a while."""
    try:
        Parameters(text)
    except SchemaError as error:
        return str(error)
    return None


def _of_webhook(webhook: Webhook) -> Flaw | None:
    try:
        host_of(webhook.url)
    except AddressError as error:
        return Flaw("InvalidAddress", f"spec.webhook.url: the URL {error}")
    if (name := find_unsendable(webhook.headers)) is not None:
        return Flaw(
            "InvalidHeader", f"spec.webhook.headers: {name!r} cannot be sent, because HTTP allows printable ASCII only"
        )
    if taken := sorted(name for name in webhook.headers if name.lower() in RESERVED_HEADERS):
        return Flaw("InvalidHeader", f"spec.webhook.headers: {taken[0]!r} is set by the egress guard")
    return None


def of_binding(binding: ToolBinding, tool: Tool) -> Flaw | None:
    """Return the reason why a ToolBinding cannot grant a Tool that holds by itself; None if it can."""
    spec, webhook = binding.spec, tool.spec.webhook
    if spec.secret_key is not None and (webhook is None or webhook.auth not in _WITH_SECRET):
        text = "spec.secretKey: the Tool has no webhook with auth: apiKey or auth: oauth2, which alone use a Secret"
        return Flaw("InvalidSpec", text)
    if webhook is None:
        return None
    if webhook.auth in _WITH_SECRET and spec.secret_key is None and webhook.secret_ref is None:
        text = f"spec.secretKey: required, because the Tool has auth: {webhook.auth} and no secretRef"
        return Flaw("SecretNeeded", text)
    host = host_of(webhook.url)
    if host not in spec.allowed_domains:
        return Flaw("DomainNotAllowed", f"spec.allowedDomains: the Tool's host {host} is not among them")
    return None

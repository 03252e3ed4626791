"""Credentials of webhooks: an API key, an access token by client credentials, or a token of the guard's own account."""

import base64
import json
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote_plus, urlencode

from sympozium_api.agent_protocol import find_unsendable
from sympozium_api.client import ApiError, Client
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_api.names import EGRESS
from sympozium_api.resources import ResourceType
from sympozium_api.timestamps import parse_timestamp
from sympozium_api.tool import Webhook
from sympozium_api.tool_address import host_of
from sympozium_egress.outgoing.http_client import HttpClient, HttpRequest
from sympozium_egress.outgoing.resolution import looked_up
from sympozium_egress.policy.addresses import AddressPolicy
from sympozium_egress.policy.call_policy import CallRefused
from sympozium_egress.policy.outgoing_headers import USER_AGENT
from sympozium_egress.tool_secrets import ToolSecret, ToolSecrets

_TOKEN_REQUEST = ResourceType("", "v1", f"serviceaccounts/{EGRESS}/token", "TokenRequest")
_SERVICE_TOKEN_SECONDS = 600
_EARLY_SECONDS = 30.0
"""Seconds before its end at which a token is not used any more."""
_DEFAULT_SECONDS = 300.0
"""Life of an access token whose server names none."""
_LONGEST_SECONDS = 3600.0
_MOST_TOKENS = 1000
_MAX_TOKEN_BYTES = 64 * 1024


@dataclass(frozen=True)
class Credentials:
    """Headers of a call, and the secrets in them that no result may repeat."""

    headers: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Token:
    text: str
    expires: float


class _Tokens:
    """Tokens until they expire, the least recently used first to go."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens: OrderedDict[tuple[str, ...], _Token] = OrderedDict()

    async def get(self, key: tuple[str, ...], fetch: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        """Return a token; ``fetch`` returns a new one and its life in seconds."""
        known = self._tokens.get(key)
        if known is not None and self._clock() < known.expires:
            self._tokens.move_to_end(key)
            return known.text
        text, seconds = await fetch()
        self._tokens[key] = _Token(text, self._clock() + min(seconds, _LONGEST_SECONDS) - _EARLY_SECONDS)
        while len(self._tokens) > _MOST_TOKENS:
            self._tokens.popitem(last=False)
        return text

    def drop(self, text: str) -> None:
        """Forget a token that its server refuses."""
        for key in [key for key, token in self._tokens.items() if token.text == text]:
            del self._tokens[key]


class CredentialSource:
    """Source of webhooks' credentials. ``namespace`` is the guard's own."""

    def __init__(
        self,
        client: Client,
        secrets: ToolSecrets,
        http: HttpClient,
        *,
        namespace: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._secrets = secrets
        self._http = http
        self._namespace = namespace
        self._tokens = _Tokens(clock)

    async def of(
        self,
        webhook: Webhook,
        namespace: str,
        secret_key: str | None,
        addresses: AddressPolicy,
        policy: EffectivePolicy | None = None,
    ) -> Credentials:
        """Return the credentials of a call. Raises CallRefused if a Secret or an entry is missing, Unreachable, ApiUnavailable."""
        match webhook.auth:
            case "apiKey":
                key = await self._api_key(webhook, namespace, secret_key)
                if find_unsendable({"x-api-key": key}):
                    raise CallRefused("the tool's key cannot be sent in a header")
                return Credentials({"x-api-key": key}, (key,))
            case "oauth2":
                secret = await self._client_credentials(webhook, namespace, secret_key)
                name = ("oauth2", namespace, secret.name, secret.version, secret_key or "")
                token = await self._tokens.get(name, lambda: self._access_token(secret, namespace, addresses, policy))
                return Credentials(
                    {"authorization": f"Bearer {token}"}, (token, secret.entries.get("client_secret", ""))
                )
            case "service":
                # The whole name of a Service: its namespace's users choose the name, which may be that of an API that trusts the guard.
                audience = looked_up(host_of(webhook.url), namespace)
                token = await self._tokens.get(("service", audience), lambda: self._service_token(audience))
                return Credentials({"authorization": f"Bearer {token}"}, (token,))
        return Credentials()

    def drop(self, credentials: Credentials) -> None:
        """Forget credentials that the webhook refuses, so that the next call has new ones."""
        for secret in credentials.secrets:
            self._tokens.drop(secret)

    async def _api_key(self, webhook: Webhook, namespace: str, secret_key: str | None) -> str:
        if secret_key is not None:
            return (await self._secrets.of_namespace(namespace)).entry(secret_key, f"SECRET_{secret_key}")
        return (await self._secrets.of_tool(namespace, webhook.secret_ref or "")).entry("api-key")

    async def _client_credentials(self, webhook: Webhook, namespace: str, secret_key: str | None) -> ToolSecret:
        if secret_key is None:
            return await self._secrets.of_tool(namespace, webhook.secret_ref or "")
        secret = await self._secrets.of_namespace(namespace)
        return secret.parsed(secret_key, f"SECRET_{secret_key}")

    async def _access_token(
        self, secret: ToolSecret, namespace: str, addresses: AddressPolicy, policy: EffectivePolicy | None
    ) -> tuple[str, float]:
        """Return an access token by client credentials (RFC 6749, section 4.4), and its life in seconds."""
        url, client_id, client_secret = (secret.entry(key) for key in ("token_url", "client_id", "client_secret"))
        basic = base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()).decode()
        form = {"grant_type": "client_credentials"}
        form |= {"scope": secret.entries["scope"]} if secret.entries.get("scope") else {}
        headers = {
            "authorization": f"Basic {basic}",
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": USER_AGENT,
        }
        body = urlencode(form).encode()
        request = HttpRequest("POST", url, addresses, None, headers, body, policy=policy, namespace=namespace)
        answer = await self._http.send(request, max_bytes=_MAX_TOKEN_BYTES)
        return _parsed(answer.status, answer.body)

    async def _service_token(self, audience: str) -> tuple[str, float]:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": _SERVICE_TOKEN_SECONDS},
        }
        try:
            made = (await self._client.create(_TOKEN_REQUEST, self._namespace, body))["status"]
        except ApiError:
            raise CallRefused("the guard cannot get a token of its service account") from None
        seconds = (parse_timestamp(made["expirationTimestamp"]) - datetime.now(UTC)).total_seconds()
        return str(made["token"]), seconds


def _parsed(status: int, body: bytes) -> tuple[str, float]:
    if status != 200:
        raise CallRefused(f"the tool's token server answered {status}")
    try:
        members = json.loads(body)
        token, seconds = members["access_token"], float(members.get("expires_in") or _DEFAULT_SECONDS)
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
        raise CallRefused("the tool's token server sent no access token") from None
    if not isinstance(token, str) or not token or find_unsendable({"authorization": token}):
        raise CallRefused("the tool's token server sent no access token")
    return token, seconds if math.isfinite(seconds) else _DEFAULT_SECONDS

"""Who may pass: the API key or access token first, then its rate limit (rule 9). The instance's queue comes where a run is made."""

from starlette.requests import Request

from sympozium_http import request_state
from sympozium_http.bearer_keys import bearer
from sympozium_webproxy import context
from sympozium_webproxy.access_tokens import InsufficientScope, InvalidToken
from sympozium_webproxy.endpoint import Serving
from sympozium_webproxy.issuer import IssuerUnavailable
from sympozium_webproxy.protocol import oauth as protocol
from sympozium_webproxy.protocol.openai import errors
from sympozium_webproxy.routes.address import base_url


async def authenticate(request: Request) -> str:
    """The id of the caller's API key, or of who its access token was issued to; raises OpenAIError 401, 403 and 503."""
    key_id = context.of(request).keys.identify(request.headers.get("authorization"))
    if key_id is None:
        key_id = await _token_caller(request)
    request_state.of(request).key_id = key_id
    return key_id


async def _token_caller(request: Request) -> str:
    parts = context.of(request)
    oauth = parts.endpoint.oauth()
    token = bearer(request.headers.get("authorization"))

    def challenge(error: str | None) -> str:
        return protocol.challenge(oauth, base_url(request), request.url.path, error)

    if oauth is None or token is None or token.count(".") != 2:  # no JWT
        raise errors.unauthorized(challenge("invalid_token" if token else None))
    try:
        return await parts.tokens.caller(token, oauth)
    except InvalidToken as refusal:
        raise errors.invalid_token(str(refusal), challenge("invalid_token")) from refusal
    except InsufficientScope as refusal:
        raise errors.insufficient_scope(oauth.required_scopes, challenge("insufficient_scope")) from refusal
    except IssuerUnavailable as away:
        message = "The issuer of access tokens cannot be reached."
        raise errors.unavailable(message, code="issuer_unavailable", retry_after=away.retry_after) from away


def limit(request: Request, key_id: str) -> tuple[Serving, dict[str, str]]:
    """What a request is served with, and the rate-limit headers of its answer; raises OpenAIError 429 and 503."""
    parts = context.of(request)
    serving = parts.endpoint.serving()
    verdict = parts.limiter.take(key_id, serving.rate_limit)
    headers = verdict.headers()
    request_state.of(request).limit_headers = headers  # for errors that are raised from here on
    if not verdict.allowed:
        parts.metrics.refused.labels("rate_limit").inc()
        raise errors.too_many("Rate limit reached for this API key.", code="rate_limit_exceeded", headers=headers)
    return serving, headers

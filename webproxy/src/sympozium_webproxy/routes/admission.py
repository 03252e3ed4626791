"""Who may pass: the API key first, then its rate limit (rule 9). The instance's queue comes where a run is made."""

from starlette.requests import Request

from sympozium_webproxy import context
from sympozium_webproxy.endpoint import Serving
from sympozium_webproxy.protocol.openai import errors


def authenticate(request: Request) -> str:
    """The id of the caller's key; raises OpenAIError 401."""
    key_id = context.of(request).keys.identify(request.headers.get("authorization"))
    if key_id is None:
        raise errors.unauthorized()
    request.state.key_id = key_id
    return key_id


def limit(request: Request, key_id: str) -> tuple[Serving, dict[str, str]]:
    """What a request is served with, and the rate-limit headers of its answer; raises OpenAIError 429 and 503."""
    parts = context.of(request)
    serving = parts.endpoint.serving()
    verdict = parts.limiter.take(key_id, serving.rate_limit)
    headers = verdict.headers()
    request.state.limit_headers = headers  # for errors that are raised from here on
    if not verdict.allowed:
        parts.metrics.refused.labels("rate_limit").inc()
        raise errors.too_many("Rate limit reached for this API key.", code="rate_limit_exceeded", headers=headers)
    return serving, headers

"""Authentication by API key or access token, then the key's rate limit (rule 9)."""

from starlette.datastructures import Headers
from starlette.requests import Request

from sympozium_api.key_limits import PREFIX
from sympozium_http import request_state
from sympozium_http.bearer_keys import bearer
from sympozium_http.issuer_tokens import InvalidToken
from sympozium_http.key_set import KeysUnavailable
from sympozium_http.refusal import Refusal
from sympozium_runs.rate_limits import Bucket, Verdict
from sympozium_webproxy import context
from sympozium_webproxy.budgets.token_budgets import BudgetVerdict
from sympozium_webproxy.identity import resource_metadata
from sympozium_webproxy.identity.access_tokens import InsufficientScope, TokenCaller
from sympozium_webproxy.instance_cache import ServedInstance
from sympozium_webproxy.request import held
from sympozium_webproxy.request.external_url import base_url

_HOW = "Send one of this endpoint's keys as 'Authorization: Bearer <key>'."
_OTHER_HEADERS = ("api-key", "x-api-key", "x-goog-api-key")
"""Headers in which clients of other APIs send a key."""


async def authenticate(request: Request) -> str:
    """Return the id of the caller's API key, or of its access token's subject. Raises Refusal 401, 403 and 503."""
    key_id = context.of(request).keys.identify(request.headers.get("authorization"))
    if key_id is None:
        caller = await _token_caller(request)
        key_id, request_state.of(request).scopes = caller.key_id, caller.scopes
    request_state.of(request).key_id = key_id
    return key_id


async def _token_caller(request: Request) -> TokenCaller:
    parts = context.of(request)
    oauth = parts.instance_cache.oauth()
    token = bearer(request.headers.get("authorization"))

    def challenge(error: str | None) -> dict[str, str]:
        return {"WWW-Authenticate": resource_metadata.challenge(oauth, base_url(request), request.url.path, error)}

    if oauth is None or token is None or token.count(".") != 2:  # no JWT
        message = _no_key(request.headers, parts.settings.instance)
        raise Refusal(401, "invalid_api_key", message, headers=challenge("invalid_token" if token else None))
    try:
        return await parts.tokens.caller(token, oauth)
    except InvalidToken as error:
        message = f"The access token was refused: {error}"
        raise Refusal(401, "invalid_token", message, headers=challenge("invalid_token")) from error
    except InsufficientScope as error:
        message = f"The access token needs the scopes: {' '.join(oauth.required_scopes)}"
        raise Refusal(403, "insufficient_scope", message, headers=challenge("insufficient_scope")) from error
    except KeysUnavailable as error:
        message = "The issuer of access tokens cannot be reached."
        raise Refusal(503, "issuer_unavailable", message, retry_after=error.retry_after) from error


def _no_key(headers: Headers, instance: str) -> str:
    """Return the sentence for a request in which there is no valid key."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        wrong = f"Incorrect API key provided: it is no key of the instance '{instance}'."
        return f"{wrong} {_HOW}" if key.strip() else f"No API key provided: there is none after 'Bearer'. {_HOW}"
    if scheme:
        return f"The header Authorization does not begin with 'Bearer'. {_HOW}"
    for name in _OTHER_HEADERS:
        if name in headers:
            return f"No API key is read from the header {name}. {_HOW}"
    return f"No API key provided. {_HOW}"


async def authenticate_read(request: Request) -> str:
    """Return the id of the caller of a request that makes no run, within the limit of reads. Raises Refusal 401, 403, 429, 503."""
    key_id = await authenticate(request)
    limit_reads(request, key_id)
    return key_id


def limit_reads(request: Request, key_id: str) -> None:
    """Count a request that makes no run against its key's limit of reads. Raises Refusal 429 and 503."""
    parts = context.of(request)
    limit = parts.key_limits.of(key_id).rate_limit(parts.instance_cache.rate_limit)
    _admit(request, parts.read_limiter.take(_bucket(request, key_id), limit.reads), "requests that make no run")


def limit(request: Request, key_id: str, *, finds_runs: bool = False) -> tuple[ServedInstance, dict[str, str]]:
    """Return the instance that serves a request, and the rate-limit headers of its answer. Raises Refusal 403, 429 and 503.

    ``finds_runs``: ``start`` refuses a request with an Idempotency-Key whose budget is spent, unless it has a run already.
    """
    parts = context.of(request)
    served = parts.instance_cache.served()
    rate_limit = parts.key_limits.of(key_id).rate_limit(served.rate_limit)
    headers = _admit(request, parts.limiter.take(_bucket(request, key_id), rate_limit), "requests")
    if parts.key_limits.is_unreadable(key_id):
        message = (
            "The limits of this API key cannot be read, so its budget is unknown."
            f" Ask those who run this endpoint to correct the entry {PREFIX}{key_id} beside the key."
        )
        raise Refusal(403, "key_limits_invalid", message, headers=headers)
    if (budget := parts.budgets.verdict(key_id)) is not None:
        headers |= budget.headers()
        request_state.of(request).answer_headers = headers
        if not budget.allowed and not (finds_runs and "idempotency-key" in request.headers):
            raise budget_spent(request, budget)
    return served, headers


def _bucket(request: Request, key_id: str) -> Bucket:
    return (*context.of(request).settings.instance_key, key_id)


def budget_spent(request: Request, budget: BudgetVerdict) -> Refusal:
    """Count and return the refusal for a key without tokens. Its code is OpenAI's, and its headers keep SDKs from retrying for hours."""
    context.of(request).metrics.refused.labels("token_budget").inc()
    message = (
        f"The token budget of this API key is used up: {budget.limit} tokens per day."
        f" The next one begins at {budget.reset_at}, in {budget.reset_seconds} s."
    )
    return Refusal(
        429,
        "insufficient_quota",
        message,
        kind="insufficient_quota",
        headers={**request_state.of(request).answer_headers, "x-should-retry": "false"},
        retry_after=budget.reset_seconds,
    )


def _admit(request: Request, verdict: Verdict, what: str) -> dict[str, str]:
    """Return the rate-limit headers of a request that may go on. Raises Refusal 429 and 503."""
    headers = verdict.headers()
    request_state.of(request).answer_headers = headers  # every answer carries them from here on
    if not verdict.allowed:
        context.of(request).metrics.refused.labels("rate_limit").inc()
        limit = f"{verdict.per_minute} {what} per minute, at most {verdict.limit} at once"
        message = f"Rate limit reached for this API key: {limit}. Try again in {verdict.retry_after} s."
        raise Refusal(429, "rate_limit_exceeded", message, headers=headers)
    held.refuse_if_spent(request)
    return headers

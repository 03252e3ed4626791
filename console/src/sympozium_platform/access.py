"""Callers of routes, as dependencies: ``caller: Reader`` or ``caller: Writer``. A route without either is open to everybody."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from sympozium_api.names import TOOLS_READ, TOOLS_WRITE
from sympozium_domain.callers.access_tokens import NoSecret
from sympozium_domain.callers.credentials import NotJudged, Unauthenticated
from sympozium_domain.callers.scope_rights import held
from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_http import request_state
from sympozium_http.bearer_keys import bearer
from sympozium_http.refusal import Refusal
from sympozium_platform import errors, held_bytes, platform_context

STARTS_RUN = frozenset({("POST", "/runs"), ("POST", "/runs/stream")})
"""Routes whose requests the limit of runs counts, and no other limit."""
_SEND_A_TOKEN = "Send a token of POST /auth/token as 'Authorization: Bearer <token>'."  # noqa: S105 - a sentence


async def authenticated(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> TenantCaller:
    """Return the caller by its token, and count its request.

    Raises Refusal 401, 429, and 503 while the token cannot be judged, or this process holds as many bytes as it may.
    """
    state = request_state.of(request)
    caller = await _caller(request)
    state.key_id = caller.key_id
    request.state.caller = caller
    limits = platform_context.of_request(request).limits
    starts_run = (request.method, request.scope["route"].path) in STARTS_RUN
    state.answer_headers |= await limits.take(caller.namespace, caller.key_id, starts_run=starts_run)
    held_bytes.hold(request, 0)  # an answer takes memory, too
    return caller


async def reader(caller: Annotated[TenantCaller, Depends(authenticated)]) -> TenantCaller:
    """Return the caller of a route that reads, or starts a run. Raises Refusal 403."""
    return _with_scope(caller, TOOLS_READ)


async def writer(caller: Annotated[TenantCaller, Depends(authenticated)]) -> TenantCaller:
    """Return the caller of a route that changes something. Raises Refusal 403."""
    return _with_scope(caller, TOOLS_WRITE)


Reader = Annotated[TenantCaller, Depends(reader)]
Writer = Annotated[TenantCaller, Depends(writer)]


def caller_if_known(request: Request) -> TenantCaller | None:
    """Return the caller; None before the request is authenticated, and of a route that is open."""
    return getattr(request.state, "caller", None)


def remember_refused(request: Request, error: Unauthenticated) -> None:
    """Remember for log and audit whose key was refused, if it was valid once."""
    request_state.of(request).refused_key_id = error.key_id
    request.state.refused_namespace = error.namespace


def refused_namespace(request: Request) -> str | None:
    """Return the namespace of a key that was refused, if it is known."""
    return getattr(request.state, "refused_namespace", None)


def no_secret() -> Refusal:
    """Return 503: the installation has no secret of tokens yet."""
    message = "Tokens are off: no file JWT_SECRET of the console's Secret has a secret that is long enough."
    return errors.unavailable("tokens_off", message)


async def _caller(request: Request) -> TenantCaller:
    token = bearer(request.headers.get("authorization"))
    if token is None:
        raise errors.unauthorized(f"The request has no token. {_SEND_A_TOKEN}")
    try:
        return await platform_context.of_request(request).callers.tokens.caller(token)
    except Unauthenticated as error:
        remember_refused(request, error)
        raise errors.unauthorized(f"{error} {_SEND_A_TOKEN}") from error
    except NotJudged as error:
        raise errors.not_judged(str(error), error.retry_after) from error
    except NoSecret as error:
        raise no_secret() from error


def _with_scope(caller: TenantCaller, scope: str) -> TenantCaller:
    if scope not in held(caller.scopes):
        raise errors.forbidden(f"This takes the scope {scope}, which the token does not have.")
    return caller

"""Limits of callers, as a dependency of all routes of /api/v1 and of all pages."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from sympozium_console import console_context
from sympozium_console.routes.params import authenticate, caller_of, hold
from sympozium_http import forwarded, request_state

_STARTS_RUN = {
    ("POST", "/api/v1/runs"),
    ("POST", "/api/v1/runs/{name}/repeat"),
    ("POST", "/instances/{namespace}/{name}/chat"),
}


async def limit_caller(request: Request, _: Annotated[None, Depends(authenticate)]) -> None:
    """Count a request of an authenticated caller. Raises Refusal 429, and 503 for a read while this process holds what it may."""
    if request.method == "GET":
        hold(request, 0)  # its answer takes memory, too
    state, route = request_state.of(request), request.scope["route"]
    starts_run = (request.method, route.path) in _STARTS_RUN
    limits = console_context.of_request(request).limits
    state.answer_headers |= await limits.take_request(caller_of(request), starts_run=starts_run)


async def limit_failures(request: Request) -> None:
    """Count a request without a valid token. Raises Refusal 429."""
    await console_context.of_request(request).limits.take_failure(_address(request))


async def limit_sign_ins(request: Request) -> None:
    """Count a form with a wrong credential. Raises Refusal 429."""
    await console_context.of_request(request).limits.take_form(_address(request))


async def limit_codes(request: Request) -> None:
    """Count a code that a browser brings back from the issuer. Raises Refusal 429."""
    await console_context.of_request(request).limits.take_code(_address(request))


def _address(request: Request) -> str:
    return forwarded.caller_address(request, console_context.of_request(request).settings.trusted_proxies)

"""Tokens for API keys."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from sympozium_domain.callers.access_tokens import SCOPES, NoSecret, UnknownTenant
from sympozium_domain.callers.caller import Caller
from sympozium_domain.callers.credentials import NotJudged, Unauthenticated
from sympozium_http import request_state
from sympozium_platform import errors, parsing, platform_context
from sympozium_platform.access import no_secret, remember_refused
from sympozium_platform.lists import NoParams

router = APIRouter(tags=["auth"])

_TEST_USER = "test"
_MOST_BYTES = 32 * 1024
"""Bytes of a body with an API key: it is read before anybody has proved anything."""


class KeyBody(BaseModel):
    """An API key, for callers that cannot set headers."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    api_key: Annotated[str, Field(min_length=1, max_length=4096)]


class Token(BaseModel):
    """A token, which is valid for an hour."""

    token: str


@router.post(
    "/auth/token", name="token.create", response_model=Token, openapi_extra=parsing.body_of(KeyBody, required=False)
)
async def create_token(request: Request, _: NoParams, x_api_key: Annotated[str | None, Header()] = None) -> Response:
    """Return a token for an API key, which is in the header ``x-api-key`` or, without it, in the body."""
    key = x_api_key or await _key_in_body(request)
    try:
        return await _token(request, await _caller_of_key(request, key))
    except Unauthenticated as error:
        remember_refused(request, error)
        raise errors.unauthorized(str(error) or "The API key is not known.") from error
    except UnknownTenant as error:
        raise errors.unauthorized("The API key's namespace is no tenant.") from error
    except NotJudged as error:
        raise errors.not_judged(str(error), error.retry_after) from error


@router.get("/auth/test-token", name="token.create_test", response_model=Token)
async def create_test_token(request: Request, _: NoParams) -> Response:
    """Return a token for tests, with both scopes. 404 unless the installation allows it."""
    settings = platform_context.of_request(request).settings
    if not settings.test_tokens:
        raise errors.refused(404, "test_tokens_off", "This installation gives no test tokens.")
    try:
        return await _token(request, Caller(_TEST_USER, scopes=SCOPES, namespace=settings.test_namespace))
    except UnknownTenant as error:
        message = f"The namespace of test tokens, {settings.test_namespace}, is no tenant."
        raise errors.unavailable("test_tokens_off", message) from error


async def _token(request: Request, caller: Caller) -> Response:
    """Return a token as an answer, and count the request. Raises UnknownTenant, and Refusal 429 and 503."""
    context, state = platform_context.of_request(request), request_state.of(request)
    state.key_id = caller.key_id
    state.answer_headers |= await context.limits.take(
        caller.namespace or "", caller.key_id or caller.user, starts_run=False
    )
    try:
        token = await context.callers.tokens.issue(caller)
    except NoSecret as error:
        raise no_secret() from error
    return JSONResponse({"token": token}, headers={"Cache-Control": "no-store"})


async def _key_in_body(request: Request) -> str:
    if not await parsing.read(request, most=_MOST_BYTES):
        raise errors.unauthorized("Send an API key in the header x-api-key, or in the body as api_key.")
    return (await parsing.parsed(request, KeyBody)).api_key


async def _caller_of_key(request: Request, key: str) -> Caller:
    """Return the caller of a key. Raises Unauthenticated and NotJudged, and Refusal 403 for a key without a scope of this API."""
    if key.isascii():  # as keys are
        for check in platform_context.of_request(request).callers.key_checks:
            if (caller := await check(key)) is not None:
                if not caller.scopes & SCOPES:
                    raise errors.forbidden(f"The API key has neither of the scopes {' and '.join(sorted(SCOPES))}.")
                return caller
    raise Unauthenticated("")

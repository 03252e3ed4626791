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
from sympozium_platform.access import no_secret

router = APIRouter(tags=["auth"])


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
async def create_token(request: Request, x_api_key: Annotated[str | None, Header()] = None) -> Response:
    """Return a token for an API key, which is in the header ``x-api-key`` or, without it, in the body."""
    context, state = platform_context.of_request(request), request_state.of(request)
    key = x_api_key or (await parsing.parsed(request, KeyBody)).api_key
    try:
        caller = await _caller_of_key(request, key)
        state.key_id = caller.key_id
        state.answer_headers |= await context.limits.take(caller.key_id or caller.user, starts_run=False)
        token = await context.callers.tokens.issue(caller)
    except Unauthenticated as error:
        state.refused_key_id = error.key_id
        raise errors.unauthorized(str(error) or "The API key is not known.") from error
    except UnknownTenant as error:
        raise errors.unauthorized("The API key's tenant is not known.") from error
    except NotJudged as error:
        raise errors.not_judged(str(error), error.retry_after) from error
    except NoSecret as error:
        raise no_secret() from error
    return JSONResponse({"token": token}, headers={"Cache-Control": "no-store"})


async def _caller_of_key(request: Request, key: str) -> Caller:
    """Return the caller of a key. Raises Unauthenticated and NotJudged, and Refusal 403 for a key without a scope of this API."""
    for check in platform_context.of_request(request).callers.key_checks:
        if (caller := await check(key)) is not None:
            if not caller.scopes & SCOPES:
                raise errors.forbidden(f"The API key has neither of the scopes {' and '.join(sorted(SCOPES))}.")
            return caller
    raise Unauthenticated("")

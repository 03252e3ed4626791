"""The sign-in at the issuer of ``console.oidc``: OpenID Connect's code flow with PKCE, state and nonce.

It begins by a link and comes back by a redirect, because ``form-action`` of the content security policy covers redirects, too. What the
browser has to bring back is in an encrypted cookie of ten minutes, so any replica finishes what another has begun.
"""

import json
from dataclasses import asdict
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel

from sympozium_console import console_context
from sympozium_console.browser_sessions import CookieTooLarge, NoCookieKeys
from sympozium_console.pages import sign_in
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.sign_in import SignInParams, own_path, sign_in_form
from sympozium_console.routes import session_cookie
from sympozium_console.routes.limited import limit_codes
from sympozium_domain.callers.credentials import Unauthenticated
from sympozium_http import request_state
from sympozium_http.authorization_code import AuthorizationCodes, CodeRefused, SignInAttempt
from sympozium_http.key_set import FetchFailed, KeysUnavailable
from sympozium_http.refusal import Refusal

log = structlog.get_logger()

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

_CALLBACK = "/login/callback"
_MOST_TARGET = 1000
"""Bytes in JSON of the page to come back to, so that the cookie holds it."""
_LOST = "This browser has begun no sign-in in the last ten minutes, or has begun another one since. Try again."
_AWAY = "The issuer cannot be reached now. Try again in a moment, or sign in with a token."


class CallbackQuery(BaseModel):
    """The query with which the issuer sends a browser back."""

    state: str = ""
    code: str = ""
    error: str = ""
    iss: str | None = None
    """The issuer (RFC 9207)."""


@router.get("/login/oidc")
async def get_issuer(request: Request, params: SignInParams) -> Response:
    """Send the browser to the issuer."""
    codes, target = _codes(request), own_path(params.next)
    if not session_cookie.can_be_kept(request):
        return sign_in_form(request, target, sign_in.UNSAFE, 400)
    attempt = SignInAttempt.begin(f"{_origin(request)}{_CALLBACK}")
    kept = {"attempt": asdict(attempt), "next": target if len(json.dumps(target)) <= _MOST_TARGET else "/"}
    try:
        cookie = console_context.of_request(request).callers.sessions.sealed(kept)
        answer = RedirectResponse(await codes.authorization_address(attempt), status_code=303)
    except NoCookieKeys:
        return sign_in_form(request, target, sign_in.NO_KEYS, 503)
    except KeysUnavailable:
        return sign_in_form(request, target, _AWAY, 503)
    session_cookie.put_attempt(request, answer, cookie)
    return answer


@router.get(_CALLBACK)
async def get_callback(request: Request, params: Annotated[CallbackQuery, Query()]) -> Response:
    """Begin a session for the user whom the issuer has sent back."""
    answer = await _finished(request, _codes(request), params)
    session_cookie.remove_attempt(request, answer)
    return answer


async def _finished(request: Request, codes: AuthorizationCodes, params: CallbackQuery) -> Response:
    begun = _begun(request)
    if begun is None or not begun[0].is_of(params.state) or params.iss not in (None, codes.issuer):
        return await sign_in.refused_form(request, "/", _LOST)
    attempt, target = begun
    if not params.code:
        return await sign_in.refused_form(request, target, f"The issuer has not signed you in: {params.error[:200]}.")
    try:
        await limit_codes(request)
    except Refusal as refusal:
        return sign_in.refusal_form(request, target, refusal)
    return await _exchanged(request, codes, params.code, attempt, target)


async def _exchanged(
    request: Request, codes: AuthorizationCodes, code: str, attempt: SignInAttempt, target: str
) -> Response:
    """Ask the issuer for the ID token of a code, and begin the session of its user."""
    context = console_context.of_request(request)
    try:
        caller, reference = context.callers.authenticator.identified(await codes.identity(code, attempt))
        cookie = context.callers.sessions.cookie(reference)
    except (CodeRefused, Unauthenticated) as error:
        return await sign_in.refused_form(request, target, f"The sign-in at the issuer does not count: {error}.")
    except (FetchFailed, KeysUnavailable) as failure:
        log.warning("the issuer could not be asked for a token", issuer=codes.issuer, reason=str(failure))
        return sign_in_form(request, target, _AWAY, 503)
    except CookieTooLarge:
        return sign_in_form(request, target, sign_in.TOO_MANY_GROUPS, 400)
    request_state.of(request).key_id = caller.key_id
    answer = RedirectResponse(target, status_code=303)
    session_cookie.put(request, answer, cookie)
    return answer


def _begun(request: Request) -> tuple[SignInAttempt, str] | None:
    """Return the sign-in that this browser has begun, and the page to come back to."""
    value = session_cookie.attempt(request)
    if value is None:
        return None
    try:
        kept = console_context.of_request(request).callers.sessions.opened(value, session_cookie.ATTEMPT_SECONDS)
        return (SignInAttempt(**kept["attempt"]), own_path(kept["next"])) if kept else None
    except (NoCookieKeys, KeyError, TypeError):  # a session's cookie under this name, or another version's
        return None


def _codes(request: Request) -> AuthorizationCodes:
    codes = console_context.of_request(request).callers.codes
    if codes is None:
        raise Refusal(404, "NotFound", "This console signs nobody in at an issuer: console.oidc.clientID is not set.")
    return codes


def _origin(request: Request) -> str:
    """Return scheme, host and port at which the browser knows the console."""
    return f"{'https' if session_cookie.is_secure(request) else 'http'}://{request.url.netloc}"

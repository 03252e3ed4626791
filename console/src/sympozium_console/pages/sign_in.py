"""The sign-in by a form, and the sign-out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_console import console_context
from sympozium_console.browser_sessions import CookieTooLarge, NoCookieKeys
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.forms import read_form
from sympozium_console.pages.rendering import render
from sympozium_console.routes import session_cookie
from sympozium_console.routes.limited import limit_sign_ins
from sympozium_domain.callers.credentials import NotJudged, Unauthenticated
from sympozium_http import request_state
from sympozium_http.refusal import Refusal

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

_HOME = "/"
_MOST_BYTES = 32 * 1024
"""Bytes of the form: it is read before anybody has proved anything, and no credential that fits into a header is longer."""
UNSAFE = (
    "Open this page by https, or at localhost as kubectl port-forward serves it: by plain http your token could be read"
    " on its way."
)
NO_KEYS = (
    "Signing in takes the keys COOKIE_KEY_1 and COOKIE_KEY_2 of the Secret sympozium-console-keys, which has none."
)
TOO_MANY_GROUPS = (
    "Your token names so many groups that no cookie holds them. Sign in with an API key or a service account's token."
)
_WRONG = (
    "This credential is not valid here. Check that all of it was copied, and that it has not expired or been revoked."
)


class SignInQuery(BaseModel):
    """The query of the sign-in."""

    next: str = _HOME


SignInParams = Annotated[SignInQuery, Query()]


@router.get("/login")
async def get_sign_in(request: Request, params: SignInParams) -> Response:
    """Return the form."""
    return sign_in_form(request, own_path(params.next))


@router.post("/login")
async def post_sign_in(request: Request, params: SignInParams) -> Response:
    """Begin a session with a credential that the management API accepts."""
    session_cookie.refuse_other_sites(request)
    target = own_path(params.next)
    if not session_cookie.can_be_kept(request):
        return sign_in_form(request, target, UNSAFE, 400)
    credential = (await read_form(request, most=_MOST_BYTES)).get("token", "").strip()
    context = console_context.of_request(request)
    try:
        caller, reference = await context.callers.authenticator.signed_in(credential)
        cookie = context.callers.sessions.cookie(reference)
    except Unauthenticated as error:
        request_state.of(request).refused_key_id = error.key_id
        return await refused_form(request, target, str(error) or _WRONG)
    except (NotJudged, ApiError, ApiUnavailable) as error:
        return sign_in_form(
            request, target, f"The credential cannot be verified now: {error}. Try again in a moment.", 503
        )
    except NoCookieKeys:
        return sign_in_form(request, target, NO_KEYS, 503)
    except CookieTooLarge:
        return sign_in_form(request, target, TOO_MANY_GROUPS, 400)
    request_state.of(request).key_id = caller.key_id
    answer = RedirectResponse(target, status_code=303)
    session_cookie.put(request, answer, cookie)
    return answer


@router.post("/logout")
async def post_sign_out(request: Request) -> Response:
    """End the session of this browser."""
    session_cookie.refuse_other_sites(request)
    answer = RedirectResponse("/login", status_code=303)
    session_cookie.remove(request, answer)
    return answer


def own_path(text: str) -> str:
    """Return a path of this console, the first page for any other text: a link must not lead to another site after the sign-in."""
    is_own = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_own and not text.startswith(("/login", "/logout")) else _HOME


async def refused_form(request: Request, target: str, message: str) -> Response:
    """Return the form for a sign-in that failed, and count it for its address."""
    try:
        await limit_sign_ins(request)
    except Refusal as refusal:
        return refusal_form(request, target, refusal)
    return sign_in_form(request, target, message, 401)


def refusal_form(request: Request, target: str, refusal: Refusal) -> Response:
    """Return the form for an address that has tried too often."""
    fault = f"Too many attempts from this address. {refusal.message}"
    answer = sign_in_form(request, target, fault, refusal.status)
    answer.headers.update(refusal.headers)
    return answer


def sign_in_form(request: Request, target: str, fault: str = "", status: int = 200) -> Response:
    """Return the form, with what went wrong."""
    settings = console_context.of_request(request).settings
    return render(
        request,
        "login.html",
        status=status,
        title="Sign in",
        next=target,
        fault=fault,
        namespace=settings.namespace,
        can_be_kept=session_cookie.can_be_kept(request),
        insecure=UNSAFE,
    )

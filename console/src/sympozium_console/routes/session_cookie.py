"""The cookie of a browser's session: its name, its attributes, and the requests with which it counts."""

import ipaddress

from starlette.requests import Request
from starlette.responses import Response

from sympozium_console.browser_sessions import SESSION_SECONDS
from sympozium_http.refusal import Refusal

_SECURE_NAME = "__Host-sympozium"
"""Name under https: browsers take such a cookie from this very host only."""
_LOOPBACK_NAME = "sympozium"
_SECURE_ATTEMPT_NAME = "__Host-sympozium-sign-in"
_LOOPBACK_ATTEMPT_NAME = "sympozium-sign-in"
ATTEMPT_SECONDS = 600
"""Seconds that a user may take at the issuer."""
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def value(request: Request) -> str | None:
    """Return the value of the session's cookie. Without https it counts at the loopback interface only."""
    secure = request.cookies.get(_SECURE_NAME)
    return secure or (request.cookies.get(_LOOPBACK_NAME) if is_loopback(request) else None)


def put(request: Request, response: Response, session: str) -> None:
    """Set the cookie. Call ``can_be_kept`` first."""
    secure = is_secure(request)
    response.set_cookie(
        _SECURE_NAME if secure else _LOOPBACK_NAME,
        session,
        max_age=SESSION_SECONDS,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def remove(request: Request, response: Response) -> None:
    """Let the browser forget the cookie."""
    for name, secure in ((_SECURE_NAME, True), (_LOOPBACK_NAME, False)):
        if name in request.cookies:
            response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")


def attempt(request: Request) -> str | None:
    """Return the value of the cookie of a sign-in that has begun at the issuer."""
    return request.cookies.get(_attempt_name(request))


def put_attempt(request: Request, response: Response, attempt: str) -> None:
    """Set the cookie of a sign-in that begins: it comes back with the browser, because the issuer's redirect is a GET."""
    response.set_cookie(
        _attempt_name(request),
        attempt,
        max_age=ATTEMPT_SECONDS,
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )


def remove_attempt(request: Request, response: Response) -> None:
    """Let the browser forget the sign-in, which counts once."""
    response.delete_cookie(_attempt_name(request), path="/", secure=is_secure(request), httponly=True, samesite="lax")


def _attempt_name(request: Request) -> str:
    return _SECURE_ATTEMPT_NAME if is_secure(request) else _LOOPBACK_ATTEMPT_NAME


def can_be_kept(request: Request) -> bool:
    """Return True if a cookie is safe on its way: under https, or at the loopback interface."""
    return is_secure(request) or is_loopback(request)


def is_secure(request: Request) -> bool:
    """Return True if the browser has sent the request by https, as the gateway says, or as the browser itself shows.

    Browsers send ``Sec-Fetch-Site`` to https and to the loopback interface only.
    """
    if "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").lower()):
        return True
    return "sec-fetch-site" in request.headers and not is_loopback(request)


def is_loopback(request: Request) -> bool:
    """Return True if the request's host is the browser's own machine."""
    host = request.url.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_other_sites(request: Request) -> None:
    """Raise Refusal 403 for a change that another site's page has sent with this browser's cookie.

    Browsers say where a request comes from in ``Sec-Fetch-Site``, and older ones in ``Origin``.
    """
    site = request.headers.get("sec-fetch-site")
    if request.method in _SAFE_METHODS:
        return
    origin = request.headers.get("origin", "")
    is_own = site == "same-origin" if site is not None else _is_own_origin(request, origin)
    if not is_own:
        raise Refusal(
            403, "CrossSite", "A change with the session of a browser has to come from a page of this console."
        )


def _is_own_origin(request: Request, origin: str) -> bool:
    return origin.partition("://")[2] == request.headers.get("host", "") != ""

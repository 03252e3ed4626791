"""Refusals as pages, in the same shell as all others."""

from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from sympozium_console.pages.rendering import is_fragment, render
from sympozium_http.refusal import Refusal

PAGE_TAG = "pages"
_TITLES = {
    400: "This address is not right",
    403: "You may not see this",
    404: "There is nothing here",
    410: "This is gone",
    429: "Too many requests",
    503: "The console cannot answer now",
}


def is_page(request: Request) -> bool:
    """Return True if the answer to a request is for a person: one to a page, or a browser's to no route at all."""
    route = request.scope.get("route")
    if route is not None and getattr(route, "tags", None):
        return PAGE_TAG in route.tags
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def refusal_page(request: Request, refusal: Refusal) -> Response:
    """Return the page of a refusal: the sign-in for a request without a valid session."""
    if refusal.status == 401 and request.method in ("GET", "HEAD") and not is_fragment(request):
        return RedirectResponse(sign_in_address(request), status_code=303)
    title = _TITLES.get(refusal.status) or ("This did not work" if refusal.status < 500 else _TITLES[503])
    page = render(
        request,
        "error.html",
        status=refusal.status,
        title="Sign in again" if refusal.status == 401 else title,
        refusal=refusal,
        sign_in=sign_in_address(request),
    )
    page.headers.update(refusal.headers)
    return page


def sign_in_address(request: Request) -> str:
    """Return the address of the sign-in, which leads back to the page of a request."""
    path = request.url.path if request.method in ("GET", "HEAD") else "/"
    query = f"?{request.url.query}" if request.url.query and path == request.url.path else ""
    return f"/login?next={quote(path + query, safe='')}"

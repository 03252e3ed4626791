"""HTML of templates."""

import asyncio
import gzip
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from starlette.types import Receive, Scope, Send

from sympozium_console import console_context
from sympozium_console.pages import text_filters
from sympozium_console.pages.keys import PAGE_KEYS
from sympozium_console.pages.navigation import NAVIGATION
from sympozium_console.pages.static_files import static_files

_TEMPLATES = Path(__file__).parent / "templates"
_LEAST_COMPRESSED = 1000
_COMPRESSION = 6
_FRAGMENT = "main"
_BEFORE_MAIN, _AFTER_MAIN = '<main id="main" tabindex="-1">', "</main>"
"""Ends of the block in ``base.html``."""
_VERSION = "X-Sympozium-Pages"
"""Header with the version of the pages, by which an open page of an older console sees that it is one."""


class _CompressedPage(HTMLResponse):
    """A page that is compressed in a thread, because one of megabytes takes a second."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the page."""
        self.body = await asyncio.to_thread(gzip.compress, bytes(self.body), _COMPRESSION)
        self.headers["Content-Encoding"], self.headers["Content-Length"] = "gzip", str(len(self.body))
        await super().__call__(scope, receive, send)


@cache
def templates() -> Environment:
    """Return the templates, which are compiled once each."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= text_filters.FILTERS
    environment.globals |= {
        "navigation": NAVIGATION,
        "page_keys": PAGE_KEYS,
        "static": static_files().address,
        "pages_version": static_files().digest,
        "console_version": version("sympozium"),
        "address": address,
    }
    components = sorted(file.stem for file in (_TEMPLATES / "components").iterdir())
    environment.globals |= {name: environment.get_template(f"components/{name}.html").module for name in components}
    return environment


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a page. A request of htmx for a part of a page gets the block ``main`` and the title alone.

    ``context`` must have ``title``. A template has also ``issuer`` (host at which people sign in; empty: none), ``request``,
    ``caller`` (None on pages before the sign-in), ``path`` and ``now``
    (seconds since 1970), and the globals ``navigation``, ``static(path)``, ``address(request, name=value)`` and ``console_version``,
    and the macros of each file of ``templates/components`` under its name: ``icons.icon("copy")``.
    """
    found = templates().get_template(template)
    codes = console_context.of_request(request).callers.codes
    shared = {
        "issuer": codes.host if codes else "",
        "request": request,
        "caller": getattr(request.state, "caller", None),
        "path": request.url.path,
        "now": console_context.of_request(request).clock.now().timestamp(),
        "status": HTTPStatus(status),
    }
    whole = shared | context
    if is_fragment(request):
        block = _main_of(found, whole)
        title = templates().get_template("title.html").render(whole)
        return _answer(request, title + block, status)
    return _answer(request, found.render(whole), status)


def _main_of(found: Template, context: dict[str, Any]) -> str:
    """Return the block ``main`` of a page. A template whose parent has the block, such as that of a tab, is rendered whole."""
    if _FRAGMENT in found.blocks:
        return "".join(found.blocks[_FRAGMENT](found.new_context(context)))
    return found.render(context).partition(_BEFORE_MAIN)[2].rpartition(_AFTER_MAIN)[0]


def address(request: Request, **params: str | None) -> str:
    """Return the address of the request's page with other query parameters; None takes one away."""
    kept = {name: value for name, value in request.query_params.items() if name not in params and value}
    query = urlencode(kept | {name: value for name, value in params.items() if value is not None})
    return f"{request.url.path}?{query}" if query else request.url.path


def is_fragment(request: Request) -> bool:
    """Return True if htmx asks for a part of the page that it shows."""
    return request.headers.get("hx-request-type") == "partial"


def _answer(request: Request, html: str, status: int) -> HTMLResponse:
    content = html.encode()
    headers = {"Vary": "Accept-Encoding, HX-Request-Type", _VERSION: static_files().digest}
    if len(content) >= _LEAST_COMPRESSED and "gzip" in request.headers.get("accept-encoding", ""):
        return _CompressedPage(content, status, headers)
    return HTMLResponse(content, status, headers)

"""/docs and /redoc: the routes for people, one page made from /openapi.json. It runs no script and loads nothing from elsewhere."""

import base64
import hashlib
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:auto;padding:1rem;color-scheme:light dark}
summary{cursor:pointer;padding:.3rem 0}details{border-top:1px solid #8886}pre,code{font-size:.85rem}
pre{overflow:auto;padding:.5rem;background:#8882}td,th{text-align:left;vertical-align:top;padding:.2rem .6rem}
td code{overflow-wrap:anywhere}nav a{margin-right:.6rem}
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}
_TEMPLATES = Environment(loader=PackageLoader("sympozium_platform"), autoescape=True, trim_blocks=True)


@router.get("/docs", name="reference.get")
@router.get("/redoc", name="reference.get")
async def reference(request: Request) -> HTMLResponse:
    """Return the page, which is made once: it is the same for everybody, and takes long enough to hold up others."""
    state = request.app.state
    if not hasattr(state, "reference"):
        state.reference = _page(request.app.openapi())
    return HTMLResponse(state.reference, headers=_HEADERS)


def _page(document: dict[str, Any]) -> str:
    template = _TEMPLATES.get_template("reference.html")
    return template.render(document=document, operations=_by_tag(document), style=_STYLE)


def _by_tag(document: dict[str, Any]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Return path, method and operation of all routes, by their tag."""
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, ways in document["paths"].items():
        for method, operation in ways.items():
            found.setdefault(operation["tags"][0], []).append((path, method, operation))
    return found

"""The description of the web endpoint's routes, GET /openapi.json."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

PUBLIC: dict[str, Any] = {"security": []}
"""``openapi_extra`` of a route that needs no key."""
_BEARER = {"type": "http", "scheme": "bearer", "description": "One of the endpoint's API keys, or an access token."}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the description of all routes, which need a key unless they are public. It is made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, routes=app.routes)
        made.setdefault("components", {})["securitySchemes"] = {"bearer": _BEARER}
        app.openapi_schema = made | {"security": [{"bearer": []}]}
    return app.openapi_schema

"""The answers to a path or a method that no route serves."""

from fastapi import Request

from sympozium_http.refusal import Refusal
from sympozium_http.route_methods import methods_at, wrong_method

_PREFIX = "/v1"
_SDKS = "The base URL of OpenAI's SDKs ends in /v1."


def refusal(request: Request) -> Refusal:
    """Return 405 for a path that has other methods, else 404, with the path that was probably meant."""
    path, routes = request.url.path, request.app.routes
    if methods_at(path, routes):
        message, headers = wrong_method(request.method, path, routes)
        return Refusal(405, "method_not_allowed", message, headers=headers)
    for meant in (_PREFIX + path, path.removeprefix(_PREFIX)):
        if methods_at(meant, routes):
            return _not_found(path, f"Did you mean {meant}? {_SDKS}")
    if path in ("/", _PREFIX):
        return _not_found(path, f"{_SDKS} GET /v1/models lists the models.")
    return _not_found(path, "GET /openapi.json lists the routes.")


def _not_found(path: str, hint: str) -> Refusal:
    return Refusal(404, "unknown_url", f"There is no route {path}. {hint}")

"""The methods that an application serves at a path, for the answers 404 and 405."""

from collections.abc import Collection, Iterable

from starlette.routing import BaseRoute, Match

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def methods_at(path: str, routes: Iterable[BaseRoute]) -> list[str]:
    """Return the methods that routes serve at a path: none where there is no such path."""
    found = [route for route in routes if route.matches(_scope(path, "GET"))[0] is not Match.NONE]
    return [method for method in _METHODS if any(_serves(route, path, method) for route in found)]


def wrong_method(method: str, path: str, routes: Collection[BaseRoute]) -> tuple[str, dict[str, str]]:
    """Return the sentence and the headers of the answer to a method that a path does not have; it has others."""
    here, below = methods_at(path, routes), methods_at(f"{path}/name", routes)
    hint = f", or {_either(below)} with a name at {path}/..." if below else ""
    return f"The route {path} does not take {method}; use {_either(here)}{hint}.", {"Allow": ", ".join(here)}


def _either(methods: list[str]) -> str:
    return " or ".join(methods)


def _serves(route: BaseRoute, path: str, method: str) -> bool:
    return route.matches(_scope(path, method))[0] is Match.FULL


def _scope(path: str, method: str) -> dict[str, str]:
    return {"type": "http", "path": path, "root_path": "", "method": method}

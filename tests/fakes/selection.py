"""Label and field selectors, as the API server reads them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from sympozium_api.resources import Object

_SET = re.compile(r"(\S+) (in|notin) \((.*)\)")


def is_selected(body: Object, selectors: Mapping[str, str]) -> bool:
    labels = body["metadata"].get("labels", {})
    return all(_matches(labels.get, term) for term in terms(selectors, "labelSelector")) and all(
        _matches(lambda path: _field(body, path), term) for term in terms(selectors, "fieldSelector")
    )


def terms(selectors: Mapping[str, str], name: str) -> list[str]:
    """Return the terms of a selector. Commas within parentheses belong to a term."""
    return [term.strip() for term in re.split(r",(?![^(]*\))", selectors.get(name, "")) if term.strip()]


def fields(selectors: Mapping[str, str]) -> set[str]:
    """Return the fields that a field selector names."""
    return {re.split(r"!?=", term)[0] for term in terms(selectors, "fieldSelector")}


def _matches(read: Callable[[str], str | None], term: str) -> bool:
    if found := _SET.fullmatch(term):
        path, operator, values = found.groups()
        return (read(path) in [value.strip() for value in values.split(",")]) is (operator == "in")
    if term.startswith("!"):
        return read(term[1:].strip()) is None
    if "!=" in term:
        path, unwanted = term.split("!=", 1)
        return read(path) != unwanted
    path, equals, wanted = term.replace("==", "=").partition("=")
    return read(path) == wanted if equals else read(path) is not None


def _field(body: Object, path: str) -> str:
    """Return a field as a selector sees it: absent is the empty string."""
    found: Any = body
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return "" if found is None else str(found)

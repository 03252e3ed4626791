"""Rights of an API key's scopes, in its own namespace. Pure."""

from collections.abc import Iterable

from sympozium_api.resources import API_KEYS, INSTANCES, RUNS, SKILL_PACKS

Right = tuple[str, str]
"""Verb and plural name of a kind."""

_READ = frozenset(
    {(verb, kind.plural) for verb in ("get", "list", "watch") for kind in (INSTANCES, RUNS, SKILL_PACKS)}
    | {("get", "pods/log")}
)
_WRITE = _READ | {("create", RUNS.plural), ("patch", RUNS.plural)}
_ADMIN = _WRITE | {(verb, API_KEYS.plural) for verb in ("create", "list", "delete")}

_RIGHTS: dict[str, frozenset[Right]] = {
    "operator.read": _READ,
    "operator.write": _WRITE,
    "operator.admin": _ADMIN,
}
"""Scopes that are missing here open dialects other than the management API."""
_IMPLIED = {
    "tools:write": {"tools:read"},
    "operator.write": {"operator.read"},
    "operator.admin": {"operator.read", "operator.write", "operator.approvals", "operator.pairing"},
}


def allows(scopes: Iterable[str], verb: str, plural: str) -> bool:
    """Return True if one of these scopes allows a verb on a kind, given by its plural name."""
    return any((verb, plural) in _RIGHTS.get(scope, ()) for scope in scopes)


def held(scopes: Iterable[str]) -> frozenset[str]:
    """Return these scopes with all that they imply: no key makes one with others."""
    own = frozenset(scopes)
    return own.union(*(_IMPLIED.get(scope, ()) for scope in own))

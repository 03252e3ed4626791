"""Access to the routes: the right that each of them takes, in one table, and the check before a route runs.

A route that the table does not have is for callers with a token of the installation only.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends
from starlette.requests import Request

from sympozium_api import names
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.resources import API_KEYS, CONFIGS, EVENTS, INSTANCES, RUNS, SKILL_PACKS, ResourceType
from sympozium_console import console_context, refusals
from sympozium_console.routes.params import ObjectQuery, authenticate, caller_of
from sympozium_http import request_state
from sympozium_http.refusal import Refusal

LOGS = ResourceType("", "v1", "pods/log", "Pod log")
"""Logs of pods, which RBAC knows as a subresource."""
SUMMARIES = ResourceType(names.GROUP, names.VERSION, "agentruns/summary", "AgentRun summary")
"""Runs without question, answer and steps: a subresource that only RBAC knows."""
AUDITS = ResourceType(names.GROUP, names.VERSION, "audits", "Audit")
"""Kind of the audit's entries, as RBAC names it. No object is of it."""


@dataclass(frozen=True)
class Need:
    """The right that a route takes: a verb on a kind, in the namespace that the request names."""

    verb: str
    """Verb of RBAC. ``put``: create and update, or the one of them that the request's preconditions leave."""
    kind: ResourceType
    of: Literal["object", "list", "entry", "installation"] = "object"
    """``object``: one namespace, ``default`` if the request names none. ``list``: the namespace of the request, else all in which the
    caller has the right. ``entry``: the route finds out the namespace, and calls ``may_see``. ``installation``: the console's own."""
    or_of: ResourceType | None = None
    """Kind of which the same verb is enough."""

    @property
    def kinds(self) -> tuple[ResourceType, ...]:
        """The kinds, of one of which the caller needs the right."""
        return (self.kind,) if self.or_of is None else (self.kind, self.or_of)


@dataclass(frozen=True)
class AnyCaller:
    """The need of a route that tells callers about themselves, and about what they see anyway: valid credentials."""


NEEDS: dict[tuple[str, str], Need | AnyCaller] = {
    ("GET", "/api/v1/me"): AnyCaller(),
    ("GET", "/api/v1/namespaces"): AnyCaller(),
    ("GET", "/api/v1/version"): AnyCaller(),
    ("GET", "/api/v1/instances"): Need("list", INSTANCES, "list"),
    ("GET", "/api/v1/instances/{name}"): Need("get", INSTANCES),
    ("PUT", "/api/v1/instances/{name}"): Need("put", INSTANCES),
    ("PATCH", "/api/v1/instances/{name}"): Need("patch", INSTANCES),
    ("DELETE", "/api/v1/instances/{name}"): Need("delete", INSTANCES),
    ("GET", "/api/v1/instances/{name}/web-endpoint"): Need("get", INSTANCES),
    ("PUT", "/api/v1/instances/{name}/web-endpoint"): Need("patch", INSTANCES),
    ("GET", "/api/v1/instances/{name}/events"): Need("watch", INSTANCES),
    ("GET", "/api/v1/runs"): Need("list", RUNS, "list", SUMMARIES),
    ("POST", "/api/v1/runs"): Need("create", RUNS),
    ("GET", "/api/v1/runs/{name}"): Need("get", RUNS, or_of=SUMMARIES),
    ("GET", "/api/v1/runs/{name}/timeline"): Need("get", RUNS, or_of=SUMMARIES),
    ("GET", "/api/v1/runs/{name}/logs"): Need("get", LOGS),
    ("DELETE", "/api/v1/runs/{name}"): Need("delete", RUNS),
    ("POST", "/api/v1/runs/{name}/cancel"): Need("patch", RUNS),
    ("POST", "/api/v1/runs/{name}/repeat"): Need("create", RUNS),
    ("GET", "/api/v1/runs/{name}/events"): Need("watch", RUNS),
    ("GET", "/api/v1/skills"): Need("list", SKILL_PACKS, "list"),
    ("GET", "/api/v1/skills/{name}"): Need("get", SKILL_PACKS),
    ("GET", "/api/v1/config"): Need("get", CONFIGS, "installation"),
    ("PUT", "/api/v1/config"): Need("put", CONFIGS, "installation"),
    ("GET", "/api/v1/watch"): Need("watch", INSTANCES, "list"),
    ("GET", "/api/v1/usage"): Need("list", RUNS, "list", SUMMARIES),
    ("GET", "/api/v1/history"): Need("list", RUNS, "list", SUMMARIES),
    ("GET", "/api/v1/history/{id}"): Need("get", RUNS, "entry"),
    ("GET", "/api/v1/audit"): Need("list", AUDITS, "list"),
    ("GET", "/api/v1/api-keys"): Need("list", API_KEYS, "list"),
    ("POST", "/api/v1/api-keys"): Need("create", API_KEYS),
    ("DELETE", "/api/v1/api-keys/{id}"): Need("delete", API_KEYS),
}
"""Needs by method and path. docs/guides/callers.md has the same table for readers."""


def rights_of_routes() -> dict[ResourceType, frozenset[str]]:
    """Return the verbs that the routes take, by kind, and the one that opens Kubernetes' Events."""
    rights: dict[ResourceType, frozenset[str]] = {EVENTS: frozenset({"list"})}
    for need in NEEDS.values():
        if isinstance(need, Need):
            verbs = ("create", "update") if need.verb == "put" else (need.verb,)
            for kind in need.kinds:
                rights[kind] = rights.get(kind, frozenset()) | set(verbs)
    return rights


@dataclass
class Visible:
    """Namespaces of a list that a caller may see: one, or several; both None: all."""

    namespace: str | None = None
    namespaces: tuple[str, ...] | None = None

    @property
    def as_set(self) -> frozenset[str] | None:
        """The namespaces; None: all."""
        if self.namespace:
            return frozenset({self.namespace})
        return None if self.namespaces is None else frozenset(self.namespaces)


async def authorize(request: Request, _: Annotated[None, Depends(authenticate)]) -> None:
    """Raise Refusal 403 unless the caller has the right that the route takes."""
    await authorize_need(request, NEEDS.get((request.method, request.scope["route"].path)))


async def authorize_need(request: Request, need: Need | AnyCaller | None) -> None:
    """Raise Refusal 403 unless the caller has a right; None stands for a token of the installation."""
    caller = caller_of(request)
    namespace = _namespace(request)
    if caller.is_admin:
        request_state.attached(request, Visible).namespace = namespace
    elif need is None:
        raise refusals.forbidden("This route takes a token of the installation.")
    elif isinstance(need, AnyCaller):
        return
    elif need.of == "list" and namespace is None and caller.namespace is None:
        rights = console_context.of_request(request).callers.rights
        seen = await rights.namespaces_of_any(caller, need.verb, *need.kinds)
        request_state.attached(request, Visible).namespaces = seen
    elif need.of != "entry":
        where = _where(need, request, namespace)
        request_state.attached(request, Visible).namespace = where
        for verb in _verbs(need, request):
            await require(request, verb, need.kind, where, or_of=need.or_of)


async def is_still_authorized(request: Request) -> bool:
    """Return False for a caller whose credentials or rights are withdrawn while its answer streams, or cannot be judged."""
    try:
        await authenticate(request, None)
        await authorize(request, None)
    except (Refusal, ApiError, ApiUnavailable):
        return False
    return True


def visible(request: Request) -> Visible:
    """Return what the caller may see of the list that the request asks for."""
    return request_state.attached(request, Visible)


async def may_see(request: Request, verb: str, kind: ResourceType, namespace: str) -> bool:
    """Return True if the caller may do this with objects of a kind in a namespace."""
    rights = console_context.of_request(request).callers.rights
    return await rights.may(caller_of(request), verb, kind, namespace)


async def may_see_events(request: Request, namespace: str) -> bool:
    """Return True if the caller may see Kubernetes' Events in a namespace."""
    return await may_see(request, "list", EVENTS, namespace)


async def judge_again(request: Request, namespace: str) -> bool | None:
    """Return whether the caller may see Kubernetes' Events now; None for one that may not use this route, or cannot be judged."""
    try:
        await authenticate(request, None)
        await authorize(request, None)
        return await may_see_events(request, namespace)
    except (Refusal, ApiError, ApiUnavailable):
        return None


async def require(
    request: Request, verb: str, kind: ResourceType, namespace: str, *, or_of: ResourceType | None = None
) -> None:
    """Raise Refusal 403, which names the right, unless the caller has it, or that on another kind."""
    kinds = (kind,) if or_of is None else (kind, or_of)
    if not any([await may_see(request, verb, one, namespace) for one in kinds]):
        resource = f"{kind.plural}.{kind.group}" if kind.group else kind.plural
        raise refusals.forbidden(
            f"{caller_of(request).user} may not {verb} {kind.kind} in namespace {namespace}:"
            f" this takes the right to {verb} {resource} there."
        )


def _where(need: Need, request: Request, namespace: str | None) -> str:
    """Return the namespace in which the caller needs the right."""
    if need.of == "installation":
        return console_context.of_request(request).settings.namespace
    if need.of == "list":
        return namespace or caller_of(request).namespace or ""
    return namespace or ObjectQuery().namespace


def _verbs(need: Need, request: Request) -> tuple[str, ...]:
    if need.verb != "put":
        return (need.verb,)
    if request.headers.get("if-none-match"):
        return ("create",)
    return ("update",) if request.headers.get("if-match") else ("create", "update")


def _namespace(request: Request) -> str | None:
    """Return the namespace that a request names, in its path or its query.

    Raises Refusal 400 for several, of which another reader might take the other.
    """
    named = request.path_params.get("namespace")
    given = request.query_params.getlist("namespace") if named is None else [named]
    if len(given) > 1:
        raise refusals.bad_field("namespace", "is given twice")
    namespace = given[0] if given else ""
    if namespace and not re.fullmatch(names.DNS_LABEL, namespace):
        raise _not_a_namespace()
    return namespace or None


def _not_a_namespace() -> Refusal:
    return refusals.bad_field("namespace", "is not the name of a namespace")

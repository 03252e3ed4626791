"""The way of every changing request through the audit: a dependency of all routes of /api/v1, and a layer that sees their answers."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from sympozium_api import names
from sympozium_api.resources import API_KEYS, CONFIGS, INSTANCES, RUNS, SKILL_PACKS
from sympozium_api.trace_context import TraceContext
from sympozium_archive.audit_log import AuditEntry
from sympozium_console import console_context, refusals
from sympozium_console.routes.access import authorize
from sympozium_console.routes.params import ObjectQuery, json_object
from sympozium_domain.audit.audit_trail import AuditUnavailable
from sympozium_domain.audit.audited_answers import open_change
from sympozium_domain.audit.changed_fields import changed_fields
from sympozium_domain.callers.caller import Caller
from sympozium_http import request_state

CHANGING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_API = "/api/v1"
"""Begin of the paths of the management API; all others are of pages."""
_TABS = {
    "overview": "patch",
    "pool": "patch",
    "skills": "patch",
    "web-endpoint": "update",
    "yaml": "update",
    "chat": "create",
}
"""Verbs of the forms of an instance's page, by the last part of their paths."""
_ACTIONS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}
_KINDS = {
    "instances": INSTANCES.kind,
    "runs": RUNS.kind,
    "skills": SKILL_PACKS.kind,
    "api-keys": API_KEYS.kind,
    "config": CONFIGS.kind,
}
_WEB_ENDPOINT = "/web-endpoint"
"""End of the route whose body is a part of the spec."""
_REFUSED = (401, 403)
_RECORDED_ELSEWHERE = {("POST", "/api/v1/runs"), ("POST", "/api/v1/runs/{name}/repeat")}
"""Changes without a row, because the run itself says who started it, and the archive keeps the run."""
_LONGEST = 253
"""Characters of a name or an Idempotency-Key that are kept: names of objects have no more."""


async def audit_change(request: Request, _: Annotated[None, Depends(authorize)]) -> None:
    """Record a change before its route runs. Raises Refusal 503 if the audit cannot be written."""
    if is_audited(request.method, request.scope["route"].path) and "dryRun" not in request.query_params:
        await begin_change(request, _entry(request, await _fields(request), await _new_name(request)))


async def begin_change(request: Request, entry: AuditEntry) -> None:
    """Record a change before it is made; ``AuditedAnswers`` records its outcome. Raises Refusal 503 if the audit cannot be written."""
    try:
        change = await console_context.of_request(request).audit.begin(entry)
    except AuditUnavailable as error:
        raise refusals.audit_unavailable(str(error)) from error
    open_change(request, change)


def is_audited(method: str, path: str) -> bool:
    """Return whether requests to a route have a row each. Refused calls of all routes have one."""
    return method in CHANGING_METHODS and (method, path) not in _RECORDED_ELSEWHERE


def refused_entry(request: Request, status: int) -> AuditEntry | None:
    """Return the entry of a call that was refused for lack of a valid token or of a right; None: there is none."""
    return _entry(request) if status in _REFUSED else None


async def _fields(request: Request) -> tuple[str, ...]:
    """Return the names of the fields that a request sets; the routes that take a body say so in OpenAPI."""
    route = request.scope["route"]
    if "requestBody" not in (route.openapi_extra or {}):
        return ()
    body = await json_object(request)
    is_part = route.path.endswith(_WEB_ENDPOINT)
    return changed_fields(_kind(route.path), {"spec": {"webEndpoint": body}} if is_part else body)


async def _new_name(request: Request) -> str | None:
    """Return the name of a new object, where the body has it instead of the path."""
    route = request.scope["route"]
    if request.path_params or "requestBody" not in (route.openapi_extra or {}):
        return None
    name = (await json_object(request)).get("name")
    return name if isinstance(name, str) else None


def _entry(request: Request, fields: tuple[str, ...] = (), new_name: str | None = None) -> AuditEntry:
    """Return the audit's entry of a request to one of the routes."""
    state, path = request_state.of(request), getattr(request.scope.get("route"), "path", "")
    trace = state.span.context or TraceContext.of(request.headers.get("traceparent"))
    params = dict(request.path_params)
    namespace, action = params.pop("namespace", None), params.pop("action", None) or _action(request.method, path)
    name = next(iter(params.values()), new_name)
    namespace = namespace or request.query_params.get("namespace", ObjectQuery().namespace if name else "")
    if _kind(path) == CONFIGS.kind:
        name, namespace = names.CONFIG, console_context.of_request(request).settings.namespace
    return AuditEntry(
        namespace=_bounded(namespace),
        actor=state.key_id or state.refused_key_id,
        user=_user(request),
        surface="api" if path.startswith(_API) else "pages",
        action=action,
        kind=_kind(path),
        resource=_bounded(name),
        trace_id=trace.trace_id if trace else None,
        idempotency_key=_bounded(request.headers.get("idempotency-key")),
        fields=fields,
    )


def _user(request: Request) -> str | None:
    """Return the user whom the request is made for; None for the installation's own tokens, and for callers that are not known."""
    caller: Caller | None = getattr(request.state, "caller", None)
    return None if caller is None or caller.is_admin else caller.user


def _action(method: str, path: str) -> str:
    """Return the verb of a request: the last part of its path for a sub-resource such as ``cancel``, else Kubernetes' own."""
    last = path.rpartition("/")[2]
    if method == "POST" and "{" in path and "{" not in last:
        return _TABS.get(last, last)
    return "list" if method == "GET" and "{" not in path else _ACTIONS.get(method, method.lower())


def _kind(path: str) -> str:
    """Return the kind of the objects of a route, ``/api/v1/<plural>/...``, or of a page, ``/<plural>/...``; the plural itself where it is
    none of Kubernetes'.
    """
    plural = path.removeprefix(_API).lstrip("/").partition("/")[0]
    return _KINDS.get(plural, plural)


def _bounded(text: str | None) -> str | None:
    return text[:_LONGEST] if text else None

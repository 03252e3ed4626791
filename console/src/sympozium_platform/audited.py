"""The way of every changing request through the audit: ``begin_change`` in a route, and a layer that sees the answers."""

from dataclasses import replace

from starlette.requests import Request

from sympozium_api.run import AgentRun
from sympozium_api.trace_context import TraceContext
from sympozium_archive.audit_log import AuditEntry
from sympozium_domain.audit.audit_trail import AuditUnavailable
from sympozium_domain.audit.audited_answers import open_change
from sympozium_http import request_state
from sympozium_platform import errors, platform_context
from sympozium_platform.access import caller_if_known, refused_namespace

SURFACE = "platform"
_CHANGING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_UNRECORDED = frozenset({429, 503})
"""Refusals without an entry: they say how busy callers or the installation are, and may be many."""
_STARTED = 200
"""Status of a start in the audit, whatever becomes of the run."""
_LONGEST = 253
"""Characters of an id or an Idempotency-Key that are kept."""


async def begin_change(request: Request, resource: str | None, *, fields: tuple[str, ...] = ()) -> None:
    """Record a change before it is made; ``AuditedAnswers`` records its outcome.

    ``resource`` is the id of the object, ``fields`` the names of those that change. The action is the name of the route. Raises Refusal
    503 if the audit cannot be written: then nothing may be changed.
    """
    try:
        change = await platform_context.of_request(request).audit.begin(_entry(request, resource, fields))
    except AuditUnavailable as error:
        message = f"Nothing was changed, because the audit cannot be written: {error}"
        raise errors.unavailable("audit_unavailable", message) from error
    open_change(request, change)


def note_start(request: Request, run: AgentRun) -> None:
    """Record the start of a run, which goes on whether the audit can be written or not."""
    trace = TraceContext.of_annotations(run.metadata.annotations)
    entry = replace(_entry(request, run.metadata.uid), trace_id=trace.trace_id if trace else None)
    platform_context.of_request(request).audit.note(entry, _STARTED)


def refused_entry(request: Request, status: int) -> AuditEntry | None:
    """Return the entry of a refused change, or of a call without a valid token or a scope; None: there is none."""
    return _entry(request, _own_id(request)) if _is_recorded(request, status) else None


def _is_recorded(request: Request, status: int) -> bool:
    """Return True for a refusal of a change, or for lack of a valid token or of a scope."""
    if "route" not in request.scope or status in _UNRECORDED:
        return False
    return status in (401, 403) or (status >= 400 and request.method in _CHANGING_METHODS)


def _own_id(request: Request) -> object:
    """Return the id that a request's path has of the object itself; None: it has none, or only ids of others, as of a binding's tool."""
    return request.path_params.get(f"{_type(request)}_id")


def _type(request: Request) -> str:
    name: str = request.scope["route"].name
    return name.partition(".")[0]


def _entry(request: Request, resource: object, fields: tuple[str, ...] = ()) -> AuditEntry:
    state, caller = request_state.of(request), caller_if_known(request)
    trace = state.span.context or TraceContext.of(request.headers.get("traceparent"))
    action: str = request.scope["route"].name
    return AuditEntry(
        namespace=caller.namespace if caller else refused_namespace(request),
        actor=state.key_id or state.refused_key_id,
        user=caller.user if caller else None,
        surface=SURFACE,
        action=action,
        kind=_type(request),
        resource=_bounded(resource),
        trace_id=trace.trace_id if trace else None,
        idempotency_key=_bounded(request.headers.get("idempotency-key")),
        fields=fields,
    )


def _bounded(value: object) -> str | None:
    return str(value)[:_LONGEST] if value else None

"""Cancellation, deletion and repetition of runs, of one or of those that are selected in a list: the same functions as the routes' of
/api/v1, with the same rights and audit.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.names import DNS_LABEL
from sympozium_api.resources import RUNS
from sympozium_api.trace_context import TraceContext
from sympozium_archive.audit_log import AuditEntry
from sympozium_console import console_context, refusals
from sympozium_console.pages.error_pages import PAGE_TAG
from sympozium_console.pages.forms import read_fields
from sympozium_console.pages.rendering import render
from sympozium_console.pages.run_commands import COMMANDS
from sympozium_console.pages.sign_in import own_path
from sympozium_console.routes.access import require
from sympozium_console.routes.new_runs import repeated
from sympozium_console.routes.params import Name, caller_of
from sympozium_http import request_state
from sympozium_http.refusal import Refusal

router = APIRouter(tags=[PAGE_TAG], include_in_schema=False)

Namespace = Annotated[str, Path(pattern=f"^{DNS_LABEL}$")]
MOST_SELECTED = 500
_AT_ONCE = 10
_KEY = rf"{DNS_LABEL}/{DNS_LABEL}"
_SURFACE = "pages"
_FORBIDDEN = 403
_VERBS = {"cancel": ("patch",), "delete": ("delete",), "repeat": ("get", "create")}
_DONE = {"cancel": "Cancelled", "delete": "Deleted", "repeat": "Repeated"}


@dataclass(frozen=True)
class Outcome:
    """Outcome of a change of one run of a selection."""

    key: str
    path: str
    """Address of the run, or of its repetition; empty: it is gone."""
    fault: str = ""
    """Why nothing was changed; empty: it was."""


@router.post("/runs/selected")
async def change_selected(request: Request) -> Response:
    """Ask for a confirmation, or change the runs that a list's form names."""
    fields = await read_fields(request)
    form = dict(fields)
    action = form.get("action", "")
    if action not in _VERBS:
        raise refusals.bad_field("action", f"must be one of {', '.join(_VERBS)}")
    runs = [_key(value) for name, value in fields if name == "run"]
    if not 1 <= len(runs) <= MOST_SELECTED:
        raise refusals.bad_field("run", f"select 1 to {MOST_SELECTED} runs")
    back = own_path(form.get("back", "/runs"))
    shared: dict[str, Any] = {
        "action": action,
        "runs": runs,
        "back": back,
        "command": COMMANDS[action],
        "done": _DONE[action],
    }
    if form.get("confirmed") != "yes":
        title = f"{action.capitalize()} {len(runs)} run{'s' if len(runs) > 1 else ''}?"
        return render(request, "runs_confirm.html", title=title, **shared)
    outcomes = await _all(request, action, runs)
    changed = sum(not outcome.fault for outcome in outcomes)
    return render(
        request,
        "runs_changed.html",
        title=f"{changed} of {len(runs)} {_DONE[action].lower()}",
        outcomes=outcomes,
        **shared,
    )


@router.post("/runs/{namespace}/{name}/{action}")
async def change_run(request: Request, namespace: Namespace, name: Name, action: str) -> Response:
    """Change one run, and lead to its page, to that of its repetition, or to the list."""
    if action not in _VERBS:
        raise Refusal(404, "NotFound", f"There is no route {request.url.path}.")
    await read_fields(request)
    outcome = await _CHANGES[action](request, namespace, name)
    return RedirectResponse(outcome.path or f"/runs?namespace={namespace}", status_code=303)


async def _cancel(request: Request, namespace: str, name: str) -> Outcome:
    runs = console_context.of_request(request).runs
    await _audited(request, "cancel", namespace, name, lambda: runs.cancel(namespace, name))
    return Outcome(f"{namespace}/{name}", f"/runs/{namespace}/{name}")


async def _delete(request: Request, namespace: str, name: str) -> Outcome:
    context = console_context.of_request(request)
    runs = (context.archiver or context).runs
    await _audited(request, "delete", namespace, name, lambda: runs.delete(namespace, name))
    return Outcome(f"{namespace}/{name}", "")


async def _repeat(request: Request, namespace: str, name: str) -> Outcome:
    await _permitted(request, "repeat", namespace)
    state = request_state.of(request)
    limits = console_context.of_request(request).limits
    state.answer_headers |= await limits.take_request(caller_of(request), starts_run=True)
    handle = await repeated(request, namespace, name)
    handle.close()
    return Outcome(f"{namespace}/{name}", f"/runs/{namespace}/{handle.name}")


_CHANGES = {"cancel": _cancel, "delete": _delete, "repeat": _repeat}


async def _all(request: Request, action: str, runs: list[str]) -> list[Outcome]:
    slots, audit = asyncio.Semaphore(_AT_ONCE), console_context.of_request(request).audit

    async def change(key: str) -> Outcome:
        namespace, _, name = key.partition("/")
        async with slots:
            try:
                return await _CHANGES[action](request, namespace, name)
            except (Refusal, ApiError) as error:
                if isinstance(error, Refusal) and error.status == _FORBIDDEN:  # the answer to all of them is no refusal
                    audit.refuse(_entry(request, action, namespace, name), error.status)
                return Outcome(key, f"/runs/{key}", error.message)
            except ApiUnavailable as error:
                return Outcome(key, f"/runs/{key}", f"the API server cannot answer: {error}")

    return list(await asyncio.gather(*map(change, runs)))


async def _permitted(request: Request, action: str, namespace: str) -> None:
    """Raise Refusal 403 unless the caller may change runs of a namespace so."""
    for verb in _VERBS[action]:
        await require(request, verb, RUNS, namespace)


async def _audited(
    request: Request, action: str, namespace: str, name: str, change: Callable[[], Awaitable[object]]
) -> None:
    """Make a change that the audit has before. Raises what ``change`` raises, and Refusal 503 if the audit cannot be written."""
    await _permitted(request, action, namespace)
    audit = console_context.of_request(request).audit
    opened = await audit.begin(_entry(request, action, namespace, name))
    try:
        await change()
    except (Refusal, ApiError) as error:
        await audit.end(opened, error.status)
        raise
    except ApiUnavailable:
        await audit.end(opened, 503)
        raise
    await audit.end(opened, 200)


def _entry(request: Request, action: str, namespace: str, name: str) -> AuditEntry:
    state, caller = request_state.of(request), caller_of(request)
    trace = state.span.context or TraceContext.of(request.headers.get("traceparent"))
    return AuditEntry(
        namespace=namespace,
        actor=state.key_id,
        user=None if caller.is_admin else caller.user,
        surface=_SURFACE,
        action=action,
        kind=RUNS.kind,
        resource=name,
        trace_id=trace.trace_id if trace else None,
    )


def _key(text: str) -> str:
    """Return namespace and name of a run that a form names. Raises Refusal 400."""
    if not re.fullmatch(_KEY, text):
        raise refusals.bad_field("run", f"{text[:60]} is not the namespace and name of a run")
    return text

"""Routes that start a run of any instance: with a new question, or with that of another run."""

import asyncio
import re
from collections.abc import Mapping

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.datastructures import Headers

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS, Object
from sympozium_api.run import AgentRun
from sympozium_api.run_status import TERMINAL_PHASES
from sympozium_api.trace_context import TraceContext
from sympozium_console import (
    console_context,
    new_run_body,
    new_run_refusals,
    openapi_models,
    refusals,
    repeated_run,
)
from sympozium_console.new_run_body import ParsedRun
from sympozium_console.routes.access import require
from sympozium_console.routes.params import (
    REFUSALS,
    Name,
    ObjectParams,
    authenticate,
    caller_of,
    json_bytes,
    release_body,
)
from sympozium_domain.instance_runs import NewRun
from sympozium_http import disconnect, request_state
from sympozium_runs.runs import RunHandle

router = APIRouter(tags=["runs"], dependencies=[Depends(authenticate)], responses=REFUSALS)

_LONGEST_WAIT = 600
_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])', re.IGNORECASE)
_SCOPES_IN_RUNS = (names.TOOLS_WRITE,)
"""Scopes that count while a run goes on. Callers without an API key have them, because they may start runs in any other way too."""


@router.post(
    "/api/v1/runs",
    response_model=AgentRun,
    status_code=201,
    responses={200: {"model": AgentRun, "description": "The run has ended."}},
    openapi_extra=openapi_models.NEW_RUN,
)
async def start_run(request: Request, params: ObjectParams) -> Response:
    """Start a run of an instance, or find the run of the same ``Idempotency-Key``; ``Prefer: wait=N`` waits for its end."""
    seconds = _wait_seconds(request.headers)
    handle = await _asked(request, params.namespace)
    release_body(request)
    return await _answer(request, params.namespace, handle, seconds)


@router.post(
    "/api/v1/runs/{name}/repeat",
    response_model=AgentRun,
    status_code=201,
    responses={200: {"model": AgentRun, "description": "The run has ended."}},
    openapi_extra={"parameters": openapi_models.NEW_RUN["parameters"]},
)
async def repeat_run(request: Request, name: Name, params: ObjectParams) -> Response:
    """Start a new run of the caller's own with the question of another run, outside its session."""
    seconds = _wait_seconds(request.headers)
    await require(request, "get", RUNS, params.namespace)
    handle = await repeated(request, params.namespace, name)
    return await _answer(request, params.namespace, handle, seconds)


async def _answer(request: Request, namespace: str, handle: RunHandle, seconds: int) -> Response:
    """Return the answer of a run that was started, once it has ended or the seconds that the caller waits are over."""
    request_state.of(request).log_fields["run"] = handle.name
    try:
        await _wait(request, handle, seconds)
    finally:
        handle.close()
    run = await _read(request, handle)
    headers = {"Location": f"/api/v1/runs/{handle.name}?namespace={namespace}"}
    applied = {"Preference-Applied": f"wait={seconds}"} if seconds else {}
    has_ended = run.get("status", {}).get("phase") in TERMINAL_PHASES
    return JSONResponse(run, status_code=200 if has_ended else 201, headers=headers | applied)


async def _asked(request: Request, namespace: str) -> RunHandle:
    """Start the run of a request's body, of which nothing is held when this returns."""
    body = new_run_body.parse(await json_bytes(request))
    return await start(request, namespace, body, _idempotency_key(request.headers))


async def repeated(request: Request, namespace: str, name: str) -> RunHandle:
    """Start a run with the question of another one, of which nothing is held when this returns."""
    stored = await console_context.of_request(request).runs.get(namespace, name)
    try:
        run = AgentRun.model_validate(stored)
    except ValidationError as error:
        message = "The run cannot be repeated: this version cannot read it."
        raise refusals.conflict(message, reason="NotRepeatable") from error
    return await start(request, namespace, repeated_run.question_of(run), _idempotency_key(request.headers))


async def start(request: Request, namespace: str, body: ParsedRun, idempotency_key: str | None) -> RunHandle:
    """Start a run for the caller of a request, or find that of the same key. Raises Refusal, ApiError and ApiUnavailable."""
    context = console_context.of_request(request)
    new = _new_run(request, namespace, body, idempotency_key)
    caller_left = asyncio.Event()
    with new_run_refusals.raised(new), disconnect.calls(request.receive, caller_left.set):
        return await context.instance_runs.start(new, caller_left, context.draining)


async def _read(request: Request, handle: RunHandle) -> Object:
    """Return a run that was started as it is now; as it was known last while the API server is away, because a refusal would make
    the caller start another one.
    """
    try:
        return await console_context.of_request(request).runs.get(handle.run.metadata.namespace, handle.name)
    except ApiUnavailable:
        return handle.run.model_dump(mode="json", by_alias=True, exclude_none=True)


def _new_run(request: Request, namespace: str, body: ParsedRun, idempotency_key: str | None) -> NewRun:
    state, caller = request_state.of(request), caller_of(request)
    return NewRun(
        namespace,
        body.instance,
        body.chat,
        key_id=state.caller,
        user=caller.user,
        scopes=tuple(sorted(scope for scope in caller.scopes if scope in _SCOPES_IN_RUNS)),
        source="api",
        body_text=body.chat_text,
        timeout=body.timeout,
        session_key=body.session_key,
        session_scope=f"api/{caller.identity}",
        idempotency_key=idempotency_key,
        key_seconds=console_context.of_request(request).settings.key_seconds,
        request_id=state.request_id,
        trace=state.span.context or TraceContext.of(request.headers.get("traceparent")),
    )


async def _wait(request: Request, handle: RunHandle, seconds: int) -> None:
    """Wait for a run's end, but no longer than the caller and this process do."""
    if not seconds:
        return
    end = asyncio.create_task(handle.end())
    stop = asyncio.create_task(console_context.of_request(request).draining.wait())
    try:
        with disconnect.calls(request.receive, handle.disconnect):
            await asyncio.wait({end, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (end, stop):
            task.cancel()
        await asyncio.gather(end, stop, return_exceptions=True)


def _wait_seconds(headers: Headers) -> int:
    """Return the seconds of ``Prefer: wait=N`` (RFC 7240). Raises Refusal 400 above 600; other preferences are ignored."""
    found = _WAIT.search(", ".join(headers.getlist("prefer")))
    seconds = int(found[1]) if found else 0
    if seconds > _LONGEST_WAIT:
        raise refusals.bad_field("Prefer", f"wait must be at most {_LONGEST_WAIT} seconds")
    return seconds


def _idempotency_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 255:
        raise refusals.bad_field("Idempotency-Key", "must have 1 to 255 characters")
    return key

"""Runs of published agents: started, answered at their end or as a stream, and read later."""

import asyncio
import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field
from sse_starlette import EventSourceResponse
from starlette.requests import ClientDisconnect

from sympozium_api.client import ApiUnavailable
from sympozium_api.trace_context import TraceContext
from sympozium_archive.run_queries import RunFilter
from sympozium_domain.agents.agent_runs import Question
from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_domain.stored_runs.ended_run import with_end
from sympozium_domain.stored_runs.stored_run import StoredRun
from sympozium_http import disconnect, request_state
from sympozium_http.event_streams import EventStreamResponse
from sympozium_http.refusal import Refusal
from sympozium_platform import errors, held_bytes, parsing, platform_context, run_refusals
from sympozium_platform.access import Reader
from sympozium_platform.audited import note_start
from sympozium_platform.lists import ListQuery, NoQuery, listed_texts
from sympozium_platform.run_models import RunAnswer, RunBody
from sympozium_platform.run_stream import events
from sympozium_runs.broker import ClientDisconnected
from sympozium_runs.runs import RunHandle

router = APIRouter(tags=["runs"])

_RESPOND_ASYNC = "respond-async"
_STORED_SECONDS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds before each read of a run whose end was told, which may not be stored yet. Then the answer has no input message."""
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="The same key and body find the run that they started before."),
]
_BODY = parsing.body_of(RunBody)


class IncludeQuery(NoQuery):
    """The query of a run."""

    include: Annotated[
        Literal["messages"] | None, Field(description="``messages``: with the messages in pydantic-ai's JSON.")
    ] = None


class RunsQuery(ListQuery, IncludeQuery):
    """The query of one page of runs."""


class StreamQuery(NoQuery):
    """The query of a stream."""

    deltas: Annotated[bool, Field(description="With the answer as it is written, and the calls of tools.")] = False


@router.post(
    "/runs",
    name="run.create",
    response_model=RunAnswer,
    responses={202: {"model": RunAnswer, "description": "The run has not ended (``Prefer: respond-async``)."}},
    openapi_extra=_BODY,
)
async def create_run(
    request: Request, caller: Reader, params: Annotated[IncludeQuery, Query()], idempotency_key: IdempotencyKey = None
) -> Response:
    """Start a run, and return it at its end, failed or not; 202 at once with ``Prefer: respond-async``.

    A caller that leaves does not end the run.
    """
    handle = await _started(request, caller, idempotency_key)
    is_async = _prefers_async(request)
    try:
        run = await _at_once(request, handle) if is_async else await _at_end(request, handle)
    finally:
        handle.close()
    answer = RunAnswer.of(run, caller.tenant_id, messages=params.include is not None)
    headers = {"Location": f"/runs/{run.uid}"} | ({"Preference-Applied": _RESPOND_ASYNC} if is_async else {})
    status = 202 if is_async or run.status in ("queued", "running") else 200
    return Response(answer.model_dump_json(), status, headers, media_type="application/json")


@router.post(
    "/runs/stream",
    name="run.stream",
    response_class=EventSourceResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
            "description": "``start``, then ``result`` or ``error``; with ``deltas`` also ``delta`` and ``tool``.",
        }
    },
    openapi_extra=_BODY,
)
async def stream_run(
    request: Request, caller: Reader, params: Annotated[StreamQuery, Query()], idempotency_key: IdempotencyKey = None
) -> Response:
    """Start a run, and stream its events. A caller that leaves does not end the run: ``GET /runs/{id}`` has its answer."""
    context = platform_context.of_request(request)
    with context.streams.starting(caller):
        handle = await _started(request, caller, idempotency_key)
        of_run = events(handle, deltas=params.deltas, stop=context.draining)
        stream = await context.streams.counted(caller, of_run)
    return EventStreamResponse(
        stream,
        keep_alive_seconds=context.settings.keep_alive_seconds,
        waits=True,  # records that a slow reader has not taken yet are counted and bounded
    )


@router.get("/runs", name="run.list", response_model=list[RunAnswer])
async def list_runs(request: Request, caller: Reader, params: Annotated[RunsQuery, Query()]) -> Response:
    """Return one page of the tenant's runs, the newest first, also of agents that are deleted."""

    def shaped(run: StoredRun) -> bytes:
        answer = RunAnswer.of(run, caller.tenant_id, messages=params.include is not None).model_dump_json().encode()
        held_bytes.hold(request, len(answer))  # 200 runs may have hundreds of MiB
        return answer

    finder = platform_context.of_request(request).run_finder
    wanted = RunFilter(namespace=caller.namespace, source="api")
    answers, total = await finder.page(wanted, shaped, limit=params.limit, offset=params.offset)
    return listed_texts(answers, total)


@router.get("/runs/{run_id}", name="run.get")
async def get_run(
    request: Request, run_id: uuid.UUID, caller: Reader, params: Annotated[IncludeQuery, Query()]
) -> RunAnswer:
    """Return a run of the tenant, also of an agent that is deleted."""
    run = await platform_context.of_request(request).run_finder.find(caller.namespace, str(run_id))
    if run is None or run.source != "api":
        raise errors.not_found("run", str(run_id))
    return RunAnswer.of(run, caller.tenant_id, messages=params.include is not None)


async def _started(request: Request, caller: TenantCaller, idempotency_key: str | None) -> RunHandle:
    """Start the run of a request's body, or find that of its Idempotency-Key. Raises Refusal and ClientDisconnect."""
    body, state = await parsing.parsed(request, RunBody), request_state.of(request)
    question = Question(
        caller,
        str(body.agent_id),
        body.input_message,
        session_id=body.session_id,
        idempotency_key=idempotency_key,
        request_id=state.request_id,
        trace=state.span.context or TraceContext.of(request.headers.get("traceparent")),
    )
    context, caller_left = platform_context.of_request(request), asyncio.Event()
    try:
        with run_refusals.raised(question), disconnect.calls(request.receive, caller_left.set):
            handle = await context.agent_runs.start(question, caller_left, context.draining)
    except Refusal as refusal:
        if caller_left.is_set():
            raise ClientDisconnect from refusal
        raise
    state.log_fields["run"] = handle.name
    note_start(request, handle.run)
    return handle


async def _at_once(request: Request, handle: RunHandle) -> StoredRun:
    """Return a run as it is now."""
    found = None if handle.is_new else await _read(request, handle)
    return found or StoredRun.of_run(handle.run)


async def _at_end(request: Request, handle: RunHandle) -> StoredRun:
    """Return a run at its end, or as it is when this process is about to end. Its texts are not held meanwhile.

    Raises ClientDisconnect.
    """
    context = platform_context.of_request(request)
    end = asyncio.create_task(handle.end())
    stop = asyncio.create_task(context.draining.wait())
    try:
        with disconnect.calls(request.receive, handle.disconnect):
            await asyncio.wait({end, stop}, return_when=asyncio.FIRST_COMPLETED)
        if end.done() and isinstance(end.exception(), ClientDisconnected):
            raise ClientDisconnect
        for pause in _STORED_SECONDS if end.done() else (0.0,):
            await asyncio.sleep(pause)
            found = await _read(request, handle)
            if found is not None and (found.ended_at is not None or not end.done()):
                return found
        return StoredRun.of_run(with_end(handle.run, end.result(), context.clock.now()) if end.done() else handle.run)
    finally:
        for task in (end, stop):
            task.cancel()
        await asyncio.gather(end, stop, return_exceptions=True)


async def _read(request: Request, handle: RunHandle) -> StoredRun | None:
    """Return a run as it is stored; None while the API server is away, because a refusal would make the caller start another one."""
    try:
        return await platform_context.of_request(request).run_finder.current(handle.run)
    except ApiUnavailable:
        return None


def _prefers_async(request: Request) -> bool:
    """Return whether ``Prefer`` (RFC 7240) has respond-async."""
    preferences = ",".join(request.headers.getlist("prefer")).lower().split(",")
    return any(preference.partition(";")[0].strip() == _RESPOND_ASYNC for preference in preferences)

"""The Responses API: POST /v1/responses, and what can be done with a response later. A response is an AgentRun."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from sympozium_api.agent_protocol import Done, Record
from sympozium_api.run import AgentRun
from sympozium_http import request_state, sse
from sympozium_runs.run_request import RunRequest
from sympozium_runs.runs import Handle
from sympozium_webproxy import context
from sympozium_webproxy.protocol.openai import (
    bodies,
    errors,
    models,
    responses_answer,
    responses_items,
    responses_request,
)
from sympozium_webproxy.protocol.openai.chat import DONE
from sympozium_webproxy.protocol.openai.responses_events import Events, frame
from sympozium_webproxy.routes import own
from sympozium_webproxy.routes.admission import authenticate, limit
from sympozium_webproxy.routes.answer import StreamedResponse, WholeResponse
from sympozium_webproxy.routes.body import read_json_bytes
from sympozium_webproxy.routes.deadline import wait_seconds
from sympozium_webproxy.routes.start import api_away, idempotency_key, start

router = APIRouter()

_MOST_REFERRED = 32
"""Responses that the items of one input may refer to: each is read from the API server."""


@router.post("/v1/responses", openapi_extra=bodies.documented(responses_request.ResponseRequest))
async def create_response(request: Request) -> Response:
    """Answer an input: one run, one fresh pod."""
    parts = context.of(request)
    key_id = await authenticate(request)
    largest = parts.settings.max_body_bytes
    asked = responses_request.parse(await read_json_bytes(request, limit=largest))
    serving, headers = limit(request, key_id)
    model, patience = models.chosen(serving.instance, asked.fields.model), wait_seconds(request)
    earlier, find = await _earlier(request, asked)
    body, before = asked.chat(earlier, find)
    kept = asked.kept(model, before)
    responses_request.refuse_too_large(body, kept, limit=largest)
    run = RunRequest(
        body,
        "web-proxy",
        key_id,
        idempotency_key(request),
        asked=asked.body,
        response=kept,
        background=asked.background,
        model=model,
        wait_seconds=None if asked.background else patience,
    )
    handle = await start(request, serving, run, streamed=asked.stream)
    headers["x-sympozium-run"] = handle.name
    if asked.stream:
        return _stream(request, handle, headers, at_once=asked.background)
    if asked.background:
        handle.close()
        return JSONResponse(_now(request, handle.run), headers=headers)
    response = responses_answer.response(handle.run)

    def told(end: Done) -> dict[str, Any]:
        return response.ended(end, _ended_at(request, handle.run))

    return WholeResponse(handle, told, headers, began=request_state.of(request).started)


@router.get("/v1/responses/{response_id}", response_model=None)
async def get_response(
    request: Request, response_id: str, *, stream: bool = False, starting_after: int = -1
) -> Response:
    """A response as it is now, or as a stream that goes on after an event."""
    if not stream:
        return JSONResponse(_now(request, await _own(request, response_id)))
    handle = await _follow(request, response_id)
    return _stream(request, handle, {"x-sympozium-run": handle.name}, at_once=True, after=starting_after)


@router.delete("/v1/responses/{response_id}")
async def delete_response(request: Request, response_id: str) -> dict[str, Any]:
    """Forget a response, and end it if it goes on."""
    run = await _own(request, response_id)
    with api_away():
        await context.of(request).runs.discard(run)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post("/v1/responses/{response_id}/cancel")
async def cancel_response(request: Request, response_id: str) -> JSONResponse:
    """End a response; one that has ended stays as it is."""
    handle = await _follow(request, response_id)
    try:
        await own.end(request, handle)
    finally:
        handle.close()
    return JSONResponse(_now(request, await _own(request, response_id)))


@router.get("/v1/responses/{response_id}/input_items")
async def list_input_items(
    request: Request,
    response_id: str,
    *,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> dict[str, Any]:
    """The items that a response's caller gave, in pages."""
    items = responses_answer.input_items(await _own(request, response_id))
    return responses_items.page(items, limit=limit, order=order, after=after)


class _Frames:
    """Records as frames of typed events."""

    def __init__(self, events: Events, *, at_once: bool, works: bool, ended_at: Callable[[], int]) -> None:
        self._events = events
        self._begun = at_once
        self._works = works
        self._ended_at = ended_at

    def opening(self) -> bytes | None:
        """The beginning, where it is told at once: the id in it is worth having, for the run goes on without its caller."""
        if not self._begun:
            return None
        return _frames(self._events.started() if self._works else self._events.begin())

    def of(self, record: Record | None) -> bytes:
        """What a record, or silence, is to the caller."""
        if record is None:
            self._begun = True
            return _frames(self._events.begin()) + sse.KEEP_ALIVE
        match record["type"]:
            case "started" if self._begun:
                return _frames(self._events.started())
            case "delta":
                return _frames(self._events.delta(record))
            case "done" | "error":
                return _frames(self._events.end(record, self._ended_at())) + DONE
        return b""


def _frames(events: list[dict[str, Any]]) -> bytes:
    return b"".join(map(frame, events))


def _stream(
    request: Request, handle: Handle, headers: Mapping[str, str], *, at_once: bool, after: int = -1
) -> StreamedResponse:
    parts = context.of(request)
    events = Events(responses_answer.response(handle.run), after=after)
    return StreamedResponse(
        handle,
        _Frames(
            events,
            at_once=at_once,
            works=parts.runs.works(handle.run),
            ended_at=lambda: _ended_at(request, handle.run),
        ),
        headers,
        began=request_state.of(request).started,
        keep_alive_seconds=parts.settings.keep_alive_seconds,
    )


async def _earlier(
    request: Request, asked: responses_request.Asked
) -> tuple[list[dict[str, Any]], responses_items.Find]:
    """The conversation that a request goes on from, and the stored items that it refers to."""
    conversation: list[dict[str, Any]] = []
    if previous := asked.fields.previous_response_id:
        conversation = responses_answer.conversation(previous, await _readable(request, previous))
    if len(asked.referred) > _MOST_REFERRED:
        raise bodies.invalid("input", f"may refer to items of at most {_MOST_REFERRED} responses")
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(asked.referred):
        if run := await _readable(request, responses_answer.response_id(name)):
            found |= {item["id"]: item for item in responses_answer.all_items(run)}
    return conversation, found.get


async def _follow(request: Request, response_id: str) -> Handle:
    """A response of the caller's own, followed; raises OpenAIError 404."""
    await authenticate(request)
    name = responses_answer.run_of(response_id)
    handle = await own.follow(request, name) if name else None
    if handle is None:
        raise errors.response_not_found(response_id)
    if not responses_answer.is_kept(handle.run):
        handle.close()
        raise errors.response_not_found(response_id)
    request_state.of(request).log_fields["run"] = handle.name
    return handle


async def _own(request: Request, response_id: str) -> AgentRun:
    """A response of the caller's own; raises OpenAIError 404."""
    await authenticate(request)
    run = await _readable(request, response_id)
    if run is None:
        raise errors.response_not_found(response_id)
    request_state.of(request).log_fields["run"] = run.metadata.name
    return run


async def _readable(request: Request, response_id: str) -> AgentRun | None:
    name = responses_answer.run_of(response_id)
    run = await own.run(request, name) if name else None
    return run if run and responses_answer.is_kept(run) else None


def _now(request: Request, run: AgentRun) -> dict[str, Any]:
    return responses_answer.as_it_is(run, works=context.of(request).runs.works(run))


def _ended_at(request: Request, run: AgentRun) -> int:
    return responses_answer.ended_at(run) or int(context.of(request).clock.now().timestamp())

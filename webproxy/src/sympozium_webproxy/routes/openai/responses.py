"""The Responses API: POST /v1/responses, and all that a caller can do with a response later. A response is an AgentRun."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from sympozium_api.agent_records import Done
from sympozium_api.json_text import PartsError
from sympozium_api.run import AgentRun
from sympozium_http import request_state
from sympozium_http.refusal import Refusal
from sympozium_openai import bodies, responses_items, responses_object, responses_request
from sympozium_openai.response_frames import ResponseFrames
from sympozium_openai.responses_events import ResponseEvents
from sympozium_openai.run_response import StreamedResponse, WholeResponse, run_headers
from sympozium_runs.model_choice import chosen_model
from sympozium_runs.run_parts import answer_size
from sympozium_runs.run_request import RunRequest
from sympozium_runs.runs import RunHandle
from sympozium_webproxy import context
from sympozium_webproxy.request import held, left_out, owned_runs
from sympozium_webproxy.request.authentication import authenticate, authenticate_read, limit
from sympozium_webproxy.request.body import Made, in_thread_if, is_large, max_bytes, parse, read_json_bytes
from sympozium_webproxy.request.deadline import wait_seconds
from sympozium_webproxy.request.start import api_away, idempotency_key, start

log = structlog.get_logger()

router = APIRouter()

Run = TypeVar("Run", AgentRun, AgentRun | None)

_MOST_REFERRED = 32
"""Responses that the items of one input may refer to, because each costs a read from the API server."""


@router.post("/v1/responses", openapi_extra=bodies.documented(responses_request.ResponseRequest))
async def create_response(request: Request) -> Response:
    """Answer an input with one run in one fresh pod."""
    key_id = await authenticate(request)
    largest = max_bytes(request)
    content = await read_json_bytes(request)
    served, headers = limit(request, key_id, finds_runs=True)
    params = await parse(responses_request.parse, content)
    left_out.tell(request, [*params.ignored, *left_out.lowered(served.instance, params.body)])
    model, timeout_seconds = chosen_model(served.instance, params.fields.model), wait_seconds(request)
    earlier, find = await _earlier(request, params, limit=largest)
    body, before = params.chat(earlier, find)
    kept = params.kept(model, before)
    is_long = is_large(content) or bool(earlier) or bool(params.referred)
    text = await in_thread_if(is_long, partial(responses_request.text_of, body, kept, limit=largest))
    run = RunRequest(
        body,
        "web-proxy",
        key_id,
        idempotency_key(request),
        body_text=text,
        original_body=params.body,
        response=kept,
        background=params.background,
        model=model,
        wait_seconds=None if params.background else timeout_seconds,
    )
    handle = await start(request, served, run, streamed=params.stream)
    stays = {"kept": kept, "instructions": params.fields.instructions}
    held.keep(request, await in_thread_if(is_long, partial(held.size_once_parsed, stays)))
    headers |= run_headers(handle.run)
    if params.stream:
        return _stream(request, handle, headers, at_once=params.background)
    if params.background:
        handle.close()
        current = responses_object.accepted if handle.is_new else responses_object.as_it_is
        return JSONResponse(current(handle.run), headers=headers)
    response = responses_object.response(handle.run)

    def completed(end: Done) -> dict[str, Any]:
        return response.ended(end, _ended_at(request, handle.run))

    return WholeResponse(handle, completed, headers, began=request_state.of(request).started)


@router.get("/v1/responses/{response_id}", response_model=None)
async def get_response(
    request: Request, response_id: str, *, stream: bool = False, starting_after: int = -1
) -> Response:
    """Return the current state of a response, or a stream that continues after an event."""
    if not stream:
        run = await _own(request, response_id)
        with _written_here(response_id):
            return JSONResponse(await _made_of(run, responses_object.as_it_is))
    handle = await _follow(request, response_id)
    try:
        with _written_here(response_id):
            return _stream(request, handle, run_headers(handle.run), at_once=True, after=starting_after)
    except Refusal:
        handle.close()
        raise


@router.delete("/v1/responses/{response_id}")
async def delete_response(request: Request, response_id: str) -> dict[str, Any]:
    """Delete a response, and cancel it if it is in progress."""
    run = await _own(request, response_id)
    with api_away():
        await context.of(request).runs.discard(run)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post("/v1/responses/{response_id}/cancel")
async def cancel_response(request: Request, response_id: str) -> JSONResponse:
    """Cancel a response; an ended response stays as it is."""
    handle = await _follow(request, response_id)
    try:
        await owned_runs.end(request, handle)
    finally:
        handle.close()
    run = await _own(request, response_id)
    with _written_here(response_id):
        return JSONResponse(await _made_of(run, responses_object.as_it_is))


@router.get("/v1/responses/{response_id}/input_items")
async def list_input_items(
    request: Request,
    response_id: str,
    *,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> dict[str, Any]:
    """Return a page of the items that the caller of a response gave."""
    run = await _own(request, response_id)
    with _written_here(response_id):
        return responses_items.page(responses_object.input_items(run), limit=limit, order=order, after=after)


def _stream(
    request: Request, handle: RunHandle, headers: Mapping[str, str], *, at_once: bool, after: int = -1
) -> StreamedResponse:
    parts = context.of(request)
    events = ResponseEvents(responses_object.response(handle.run), after=after)
    return StreamedResponse(
        handle,
        ResponseFrames(
            events,
            at_once=at_once,
            works=not handle.is_new,
            ended_at=lambda: _ended_at(request, handle.run),
        ),
        headers,
        began=request_state.of(request).started,
        keep_alive_seconds=parts.settings.keep_alive_seconds,
    )


async def _earlier(
    request: Request, params: responses_request.ResponseParams, *, limit: int
) -> tuple[list[dict[str, Any]], responses_items.Find]:
    """Return the conversation that a request continues, and a function that finds the stored items that it refers to.

    What is returned is counted for the request. Raises Refusal 413 as soon as the items cannot be part of one conversation.
    """
    conversation = await _conversation(request, params.fields.previous_response_id)
    await _hold(request, conversation)
    if len(params.referred) > _MOST_REFERRED:
        raise bodies.invalid("input", f"may refer to items of at most {_MOST_REFERRED} responses")
    stored: dict[str, dict[str, Any]] = {}
    size = 0
    for name, references in sorted(params.referred.items()):
        named, least = await _named_items(request, responses_object.response_id(name), references)
        size += least
        if size > limit:
            raise responses_request.too_large(f"The items that the input refers to have {size} bytes or more", limit)
        await _hold(request, list(named.values()))
        stored |= named
    return conversation, stored.get


async def _conversation(request: Request, previous: str | None) -> list[dict[str, Any]]:
    if not previous:
        return []
    run = await _readable(request, previous)
    with _written_here(previous):
        return await _made_of(run, partial(responses_object.conversation, previous))


async def _named_items(
    request: Request, response_id: str, references: Mapping[str, int]
) -> tuple[dict[str, dict[str, Any]], int]:
    """Return those items of a response that are referred to, and the bytes that all references take at least."""
    run = await _readable(request, response_id)
    if run is None:
        return {}, 0
    with _written_here(response_id):
        items = await _made_of(run, lambda run: list(responses_object.all_items(run)))
        named = {item["id"]: item for item in items if item["id"] in references}
        return named, sum(references[id_] * responses_items.least_size(item) for id_, item in named.items())


async def _hold(request: Request, content: list[dict[str, Any]]) -> None:
    """Count messages or items until the request's run is created. Raises Refusal 503."""
    if content:
        held.hold(request, await asyncio.to_thread(held.size_once_parsed, {"content": content}))


async def _follow(request: Request, response_id: str) -> RunHandle:
    """Return a handle that follows a response of the caller. Raises Refusal 404."""
    await authenticate_read(request)
    name = responses_object.run_of(response_id)
    handle = await owned_runs.follow(request, name) if name else None
    if handle is None:
        raise _not_found(response_id)
    if not responses_object.is_kept(handle.run):
        handle.close()
        raise _not_found(response_id)
    request_state.of(request).log_fields["run"] = handle.name
    return handle


async def _own(request: Request, response_id: str) -> AgentRun:
    """Return a response of the caller. Raises Refusal 404."""
    await authenticate_read(request)
    run = await _readable(request, response_id)
    if run is None:
        raise _not_found(response_id)
    request_state.of(request).log_fields["run"] = run.metadata.name
    return run


async def _readable(request: Request, response_id: str) -> AgentRun | None:
    name = responses_object.run_of(response_id)
    run = await owned_runs.run(request, name) if name else None
    return run if run and responses_object.is_kept(run) else None


async def _made_of(run: Run, make: Callable[[Run], Made]) -> Made:
    """Return what is made of a run that was read: of one with a long answer in a thread."""
    return await in_thread_if(run is not None and answer_size(run.status) is not None, partial(make, run))


@contextmanager
def _written_here(response_id: str) -> Iterator[None]:
    """Raise Refusal 404 for a run with the fields of a response that no web-proxy wrote: whoever may create runs may fill them."""
    try:
        yield
    except PartsError as error:
        raise Refusal(
            502, "response_unreadable", f"Response with id '{response_id}' cannot be read: {error}."
        ) from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        log.warning("run is no response", response=response_id, reason=type(error).__name__)
        raise _not_found(response_id) from error


def _not_found(response_id: str) -> Refusal:
    message = f"Response with id '{response_id}' not found."
    return Refusal(404, "response_not_found", message, param="response_id")


def _ended_at(request: Request, run: AgentRun) -> int:
    return responses_object.ended_at(run) or int(context.of(request).clock.now().timestamp())

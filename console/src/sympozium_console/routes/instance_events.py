"""The route of an instance's events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from fastapi import APIRouter, Depends, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from sympozium_console import console_context, instance_events
from sympozium_console.routes.access import judge_again
from sympozium_console.routes.params import REFUSALS, Name, ObjectParams, authenticate
from sympozium_http import request_state
from sympozium_http.event_streams import EventStreamResponse

router = APIRouter(tags=["instances"], dependencies=[Depends(authenticate)], responses=REFUSALS)


@router.get(
    "/api/v1/instances/{name}/events",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "``status``, ``event`` and ``deleted`` events."}
    },
)
async def follow_instance(request: Request, name: Name, params: ObjectParams) -> Response:
    """Stream an instance's status and the Kubernetes events about it until it is deleted."""
    context = console_context.of_request(request)
    context.feed.refuse_more_streams(request_state.of(request).caller)
    await context.instances.get(params.namespace, name)  # answers 404 for an absent one, before the stream begins
    return EventStreamResponse(
        _events(request, params.namespace, name), keep_alive_seconds=context.settings.keep_alive_seconds
    )


async def _events(request: Request, namespace: str, name: str) -> AsyncGenerator[ServerSentEvent, None]:
    context = console_context.of_request(request)
    judge = partial(judge_again, request, namespace)
    events = instance_events.follow(context.client, namespace, name, stop=context.draining, judge=judge)
    with context.feed.open_stream(request_state.of(request).caller):
        async with aclosing(events):
            async for event in events:
                yield event

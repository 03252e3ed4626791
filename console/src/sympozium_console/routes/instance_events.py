"""The route of an instance's events."""

from functools import partial

from fastapi import APIRouter, Depends, Request, Response
from sse_starlette import EventSourceResponse

from sympozium_console import console_context, instance_events
from sympozium_console.change_feed.counted_stream import counted
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
    judge = partial(judge_again, request, params.namespace)
    events = instance_events.follow(context.client, params.namespace, name, stop=context.draining, judge=judge)
    return EventStreamResponse(
        counted(context.feed, request_state.of(request).caller, events),
        keep_alive_seconds=context.settings.keep_alive_seconds,
    )

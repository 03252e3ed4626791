"""The route of an instance's events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from fastapi import APIRouter, Depends, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_console import console_context, instance_events
from sympozium_console.routes.access import authorize, may_see_events
from sympozium_console.routes.changes import ChangeStream
from sympozium_console.routes.params import REFUSALS, Name, ObjectParams, authenticate
from sympozium_http import request_state
from sympozium_http.refusal import Refusal

router = APIRouter(tags=["instances"], dependencies=[Depends(authenticate)], responses=REFUSALS)

_LINE_END = "\n"
_SEND_SECONDS = 10.0
"""Seconds for which a client may read nothing."""


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
    return ChangeStream(
        _events(request, params.namespace, name),
        headers={"Cache-Control": "no-cache"},
        sep=_LINE_END,
        ping=context.settings.keep_alive_seconds,
        ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep=_LINE_END),
        send_timeout=_SEND_SECONDS,
    )


async def _events(request: Request, namespace: str, name: str) -> AsyncGenerator[ServerSentEvent, None]:
    context = console_context.of_request(request)
    judge = partial(_judged, request, namespace)
    events = instance_events.follow(context.client, namespace, name, stop=context.draining, may_see_events=judge)
    with context.feed.open_stream(request_state.of(request).caller):
        async with aclosing(events):
            async for event in events:
                yield event


async def _judged(request: Request, namespace: str) -> bool | None:
    """Return whether the caller may see Kubernetes' Events now; None for one that may not watch the instance, or cannot be judged."""
    try:
        await authenticate(request, None)
        await authorize(request, None)
        return await may_see_events(request, namespace)
    except (Refusal, ApiError, ApiUnavailable):
        return None

"""The route of changes: a stream of what changes in the cluster."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field
from sse_starlette import EventSourceResponse

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.resources import CONFIGS, INSTANCES, RUNS, SKILL_PACKS
from sympozium_console import console_context
from sympozium_console.change_feed import change_stream
from sympozium_console.change_feed.change_stream import Judged, Wanted
from sympozium_console.console_context import ConsoleContext
from sympozium_console.routes.access import authorize, visible
from sympozium_console.routes.params import REFUSALS, InstanceName, ListQuery, authenticate, caller_of
from sympozium_http import request_state
from sympozium_http.event_streams import EventStreamResponse
from sympozium_http.refusal import Refusal

router = APIRouter(tags=["changes"], dependencies=[Depends(authenticate)], responses=REFUSALS)

_KINDS = {"instances": INSTANCES, "runs": RUNS, "skills": SKILL_PACKS, "config": CONFIGS}


class WatchQuery(ListQuery):
    """The query of the stream of changes."""

    kinds: Annotated[
        str,
        Field(
            pattern=rf"^({'|'.join(_KINDS)})(,({'|'.join(_KINDS)}))*$",
            description="Kinds of objects, separated by commas: ``instances``, ``runs``, ``skills``, ``config``.",
        ),
    ] = ",".join(_KINDS)
    instance: Annotated[
        InstanceName, Field(description="Only changes of this instance, and of its runs. Other kinds have none.")
    ] = None


@router.get(
    "/api/v1/watch",
    response_class=EventSourceResponse,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "``changed``, ``deleted``, ``reset`` and ``synced`` events.",
        }
    },
)
async def watch_changes(request: Request, params: Annotated[WatchQuery, Query()]) -> Response:
    """Stream what changes; the header ``Last-Event-ID`` continues a stream where it broke off."""
    context = console_context.of_request(request)
    caller = request_state.of(request).caller
    context.feed.refuse_more_streams(caller)
    judged = Judged(await _wanted(request, params), partial(_judged_again, request, params))
    return EventStreamResponse(
        _frames(context, caller, judged, request.headers.get("last-event-id")),
        keep_alive_seconds=context.settings.keep_alive_seconds,
    )


async def _wanted(request: Request, params: WatchQuery) -> Wanted:
    """Return the changes that the caller asks for and may see: of each kind those in namespaces in which it may watch it."""
    rights, caller = console_context.of_request(request).callers.rights, caller_of(request)
    kinds: dict[str, frozenset[str] | None] = {}
    for word in params.kinds.split(","):
        seen = await rights.namespaces(caller, "watch", _KINDS[word])
        asked_for = visible(request).as_set
        if seen is not None:
            asked_for = frozenset(seen) if asked_for is None else asked_for & frozenset(seen)
        if asked_for is None or asked_for:
            kinds[word] = asked_for
    return Wanted(kinds, params.instance)


async def _judged_again(request: Request, params: WatchQuery) -> Wanted | None:
    """Return what the caller may see now; None for one whose credentials or rights are withdrawn, or cannot be judged."""
    try:
        await authenticate(request, None)
        await authorize(request, None)
        wanted = await _wanted(request, params)
    except (Refusal, ApiError, ApiUnavailable):
        return None
    return wanted if wanted.kinds else None


async def _frames(
    context: ConsoleContext, caller: str, judged: Judged, last_event_id: str | None
) -> AsyncGenerator[bytes, None]:
    frames = change_stream.stream(context.feed.ring, judged, last_event_id, context.draining)
    with context.feed.open_stream(caller):
        async with aclosing(frames):
            async for frame in frames:
                yield frame

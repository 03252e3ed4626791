"""The route of the log of a run's pod."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import Field
from starlette.types import Message, Receive, Scope, Send

from sympozium_console import console_context
from sympozium_console.routes.access import is_still_authorized
from sympozium_console.routes.params import REFUSALS, Name, ObjectQuery, authenticate
from sympozium_console.run_logs import MOST_LINES, LogSelection, open_log
from sympozium_http import request_state

router = APIRouter(tags=["runs"], dependencies=[Depends(authenticate)], responses=REFUSALS)

_SEND_SECONDS = 10.0
"""Seconds for which a client may read nothing."""
_JUDGED_SECONDS = 60.0
"""Seconds after which the caller's right to the log is judged again."""
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class LogQuery(ObjectQuery):
    """The query of a log."""

    follow: Annotated[bool, Field(description="Later lines too, until the pod ends.")] = False
    tail: Annotated[int, Field(ge=0, le=MOST_LINES, description="Lines from the end of the log.")] = 1000
    timestamps: Annotated[bool, Field(description="Each line begins with its time (RFC 3339).")] = False


class LogStream(StreamingResponse):
    """A log whose source is closed with it, and which is cut off if its client reads nothing for ten seconds."""

    def __init__(self, text: AsyncGenerator[str, None], source: AsyncGenerator[str, None]) -> None:
        super().__init__(text, media_type="text/plain; charset=utf-8", headers=_HEADERS)
        self._text, self._source = text, source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the end."""

        async def send_soon(message: Message) -> None:
            async with asyncio.timeout(_SEND_SECONDS):
                await send(message)

        async with aclosing(self._source), aclosing(self._text):
            try:
                await super().__call__(scope, receive, send_soon)
            except TimeoutError:
                return


@router.get(
    "/api/v1/runs/{name}/logs",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {}}, "description": "The log, as text."}},
)
async def get_logs(request: Request, name: Name, params: Annotated[LogQuery, Query()]) -> Response:
    """Return what the agent of a run has logged, at most 4 MiB; with ``follow`` until its pod ends."""
    context = console_context.of_request(request)
    if params.follow:
        context.feed.refuse_more_streams(request_state.of(request).caller)
    selection = LogSelection(params.tail, params.follow, params.timestamps)
    text = await open_log(context.client, params.namespace, name, selection)
    return LogStream(_followed(request, text) if params.follow else text, text)


async def _followed(request: Request, text: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """Yield a log until its end, until this process stops or until the caller may not read it any more."""
    context = console_context.of_request(request)
    ends = [asyncio.create_task(context.draining.wait()), asyncio.create_task(_right_ends(request))]
    try:
        with context.feed.open_stream(request_state.of(request).caller):
            while (piece := await _next(text, ends)) is not None:
                yield piece
    finally:
        for task in ends:
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


async def _next(text: AsyncGenerator[str, None], ends: list[asyncio.Task[bool]]) -> str | None:
    """Return the next piece of a log; None at its end, and once one of ``ends`` is done."""
    reading = asyncio.ensure_future(anext(text, None))
    try:
        await asyncio.wait({reading, *ends}, return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else None
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _right_ends(request: Request) -> bool:
    """Return once the caller may not read the log any more."""
    while True:
        await asyncio.sleep(_JUDGED_SECONDS)
        if not await is_still_authorized(request):
            return True

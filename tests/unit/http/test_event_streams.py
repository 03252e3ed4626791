"""Streams of server-sent events whose clients do not read."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sse_starlette import ServerSentEvent
from starlette.types import Message

from sympozium_http import event_streams
from sympozium_http.event_streams import EventStreamResponse, sent_event


@pytest.mark.parametrize(("waits", "bound"), [(False, "_UNREAD_SECONDS"), (True, "_WAITING_SECONDS")])
async def test_a_client_that_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch, waits: bool, bound: str) -> None:
    monkeypatch.setattr(event_streams, bound, 0.01)
    closed = asyncio.Event()

    async def frames() -> AsyncIterator[ServerSentEvent]:
        try:
            yield sent_event("start", {})
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    response = EventStreamResponse(frames(), keep_alive_seconds=60, waits=waits)
    async with asyncio.timeout(60):
        await response({"type": "http", "method": "GET", "headers": []}, receive, send)
    assert closed.is_set()

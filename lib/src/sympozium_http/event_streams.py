"""Server-sent events of a dialect's own: the form of one, and the response that carries a stream of them."""

from collections.abc import AsyncIterable
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from sympozium_http.sse import one_line

_LINE_END = "\n"
_UNREAD_SECONDS = 10.0
"""Seconds for which a client may read nothing."""
_WAITING_SECONDS = 600.0
"""Seconds for which a client may read nothing whose stream waits for it: one that never reads again must not keep its connection."""


def sent_event(event_type: str, data: dict[str, Any], event_id: str | None = None) -> ServerSentEvent:
    """Return an event with JSON data."""
    return ServerSentEvent(one_line(data).decode(), event=event_type, id=event_id, sep=_LINE_END)


class EventStreamResponse(EventSourceResponse):
    """A stream with a comment every ``keep_alive_seconds``.

    It is cut off if its client reads nothing for ten seconds, or for ten minutes if it ``waits``.
    """

    def __init__(
        self, frames: AsyncIterable[ServerSentEvent | bytes], *, keep_alive_seconds: float, waits: bool = False
    ) -> None:
        super().__init__(
            frames,
            headers={"Cache-Control": "no-cache"},
            sep=_LINE_END,
            ping=keep_alive_seconds,
            ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep=_LINE_END),
            send_timeout=_WAITING_SECONDS if waits else _UNREAD_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the end."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            return

"""Streams that count towards the bound of a caller's open streams."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from sympozium_console.change_feed.feed import ChangeFeed

Event = TypeVar("Event")


async def counted(feed: ChangeFeed, caller: str, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """Yield events, and count their stream while it is open. Call ``feed.refuse_more_streams`` before the answer begins."""
    with feed.open_stream(caller):
        async with aclosing(events):
            async for event in events:
                yield event

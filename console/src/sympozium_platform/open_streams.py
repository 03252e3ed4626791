"""Open streams of runs at this replica, by the API key of their callers."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_http.refusal import Refusal

Event = TypeVar("Event")

_RETRY_SECONDS = 5


@dataclass
class OpenStreams:
    """Counter of the streams of each key. Ids of keys are unique in their namespace only."""

    most: int
    """Streams of one key at most."""
    _open: Counter[tuple[str, str]] = field(default_factory=Counter)

    @contextmanager
    def starting(self, caller: TenantCaller) -> Iterator[None]:
        """Count a stream while its run is started. Raises Refusal 429 if the caller's key has as many streams as it may."""
        if self._open[caller.namespace, caller.key_id] >= self.most:
            message = f"The key has {self.most} streams open at this replica. No run was started."
            raise Refusal(429, "too_many_streams", message, retry_after=_RETRY_SECONDS)
        with self._counting(caller):
            yield

    async def counted(self, caller: TenantCaller, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        """Return a stream of events, of which there is one at least, that is counted from now on until it is closed or forgotten."""
        stream = self._counted(caller, events)
        return _continued(await anext(stream), stream)

    async def _counted(self, caller: TenantCaller, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        with self._counting(caller):
            async with aclosing(events):
                async for event in events:
                    yield event

    @contextmanager
    def _counting(self, caller: TenantCaller) -> Iterator[None]:
        key = caller.namespace, caller.key_id
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


async def _continued(first: Event, rest: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    async with aclosing(rest):
        yield first
        async for event in rest:
            yield event

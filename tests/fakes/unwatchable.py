"""An API server in memory that lets everything be listed and nothing be watched."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.fakes.open_watches import WatchResponse


class UnwatchableKinds(FakeKubernetes):
    """Lists that are allowed, and watches that are refused, as by a Role without the verb."""

    @asynccontextmanager
    async def stream(self, *_: Any, **__: Any) -> AsyncIterator[WatchResponse]:
        raise api_error(403, "Forbidden", "may not watch")
        yield WatchResponse()

"""Watches that are open at the API server in memory."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.fakes.selection import is_selected
from tests.fakes.tables import WatchedTables

from sympozium_api.resources import Object


@dataclass
class WatchResponse:
    """The response to a watch: lines as they come, then (when the API server closes it) the end."""

    lines: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    refusal: bytes = b""

    @property
    def content(self) -> "WatchResponse":
        return self

    async def read(self) -> bytes:
        return self.refusal

    async def iter_any(self) -> AsyncIterator[bytes]:
        while (line := await self.lines.get()) is not None:
            yield line


class StoredChange(NamedTuple):
    """A write that changed an object."""

    event: str
    plural: str
    namespace: str
    body: Object
    old: Object | None

    @property
    def version(self) -> int:
        return int(self.body["metadata"]["resourceVersion"])


class OpenWatch(NamedTuple):
    """A watch and its response."""

    plural: str
    namespace: str | None
    params: Mapping[str, str]
    response: WatchResponse
    tables: WatchedTables | None = None
    """Form of the events' objects; None: as they are stored."""

    def show(self, change: StoredChange) -> None:
        """Send a change if it concerns what is watched. An object that enters or leaves the selection is ADDED or DELETED."""
        body, old = change.body, change.old
        if change.plural != self.plural or self.namespace not in (None, change.namespace):
            return
        was, is_now = old is not None and is_selected(old, self.params), is_selected(body, self.params)
        if was or is_now:
            event = change.event if was and is_now else ("ADDED" if is_now else "DELETED")
            shown = body
            if event == "DELETED" and old:  # what left a selection is shown as it was in it, but for its version
                version = {"resourceVersion": body["metadata"]["resourceVersion"]}
                shown = {**old, "metadata": old["metadata"] | version}
            self.send(event, shown)

    def send(self, event: str, body: Object) -> None:
        if self.tables and event != "ERROR":
            body = self.tables.table(body)
        self.response.lines.put_nowait(json.dumps({"type": event, "object": body}).encode() + b"\n")

    def expire(self) -> None:
        """Tell the watch that the API server has forgotten its version; nothing comes after that."""
        self.send("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})

    def end(self, version: str) -> None:
        """End the response, as the API server does every few minutes, with a bookmark where the watch wants bookmarks."""
        if self.params.get("allowWatchBookmarks") == "true":
            self.send("BOOKMARK", {"kind": "", "apiVersion": "", "metadata": {"resourceVersion": version}})
        self.response.lines.put_nowait(None)


def log_of(pod: str, logs: Mapping[str, "str | WatchResponse"], params: Mapping[str, str]) -> WatchResponse:
    """Return the response with the log of a pod; 404 if there is none."""
    if pod not in logs:
        refusal = {"reason": "NotFound", "message": f'pods "{pod}" not found'}
        return WatchResponse(status=404, refusal=json.dumps(refusal).encode())
    log = logs[pod]
    if isinstance(log, WatchResponse):
        if params.get("follow") == "true" or log.refusal:
            return log
        log = b"".join(line for line in list(log.lines._queue) if line).decode()  # type: ignore[attr-defined] # what came so far
    lines = log.splitlines(keepends=True)
    tail = lines[len(lines) - min(int(params.get("tailLines", len(lines))), len(lines)) :]
    response = WatchResponse()
    response.lines.put_nowait("".join(tail).encode()[: int(params.get("limitBytes", sys.maxsize))])
    response.lines.put_nowait(None)
    return response

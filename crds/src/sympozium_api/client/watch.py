"""Watches of a collection without end: list it once, watch it from that version, and resume wherever a watch breaks off."""

import asyncio
import json
import math
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import aiohttp
import structlog

from sympozium_api.client.api_errors import ApiError, ApiUnavailable
from sympozium_api.client.collection import Collection, Reading
from sympozium_api.client.pages import bounded_pages
from sympozium_api.client.responses import parse_response
from sympozium_api.client.rest import Client
from sympozium_api.client.tables import TableReader
from sympozium_api.resources import Object, ResourceType

log = structlog.get_logger()

_WATCH_SECONDS = 240
_SILENCE_SECONDS = _WATCH_SECONDS + 15
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_SHORT_SECONDS = 5.0
"""Seconds below which a watch that ends has not served: an API server ends watches after minutes."""
_ATTEMPTS = 6
"""Watches from one version that may fail in a row before the collection is listed again, e.g. after etcd was restored."""
_PAGE = 100
_ROWS = 250
"""Rows of a page: some kilobytes each, because a row has the object's metadata."""


@dataclass(frozen=True)
class Snapshot:
    """The whole collection. An object that is not in it does not exist any more, whatever events were missed."""

    items: list[Object]


@dataclass(frozen=True)
class Change:
    """One object that was created or changed (``deleted`` false) or deleted."""

    object: Object
    deleted: bool


@dataclass(frozen=True)
class RowPage:
    """A page of a collection that is listed as rows, in the order of namespace and name."""

    rows: list[Object]
    """As ``Client.rows`` returns them."""
    is_first: bool
    """True: a list begins. Pages of a list before it that did not reach its last page are void."""
    is_last: bool
    """True: the list is whole. A row in none of its pages does not exist any more, whatever events were missed."""
    version: str
    """Version of the whole list: of each object, it has the newest state up to this version."""
    remaining: int | None
    """Number of rows after this page, if the API server knows it."""


@dataclass(frozen=True)
class Gap:
    """The begin of what a watch without a list shows: of what changed before, nothing is known."""


class _Retries:
    """Pauses between attempts: jittered, and longer with each attempt since the last watch that served."""

    def __init__(self, client: Client, kind: ResourceType, give_up_seconds: float) -> None:
        self.failed = 0
        self._client = client
        self._kind = kind
        self._give_up_seconds = give_up_seconds
        self._failing_since: float | None = None
        self._ending_since: float | None = None

    def served(self) -> None:
        """Begin again with the shortest pause, because a watch has served."""
        self.failed = 0
        self._ending_since = None
        self.accepted()

    def accepted(self) -> None:
        """Forget for how long all attempts have failed, because a watch is accepted. It has not served yet."""
        self._failing_since = None

    async def on_failure(self, failure: Exception) -> None:
        """Log every few failures, unless the kind is not installed. Raises the failure if it is time to give up.

        The log has no message of the API server, which may quote objects.
        """
        self._failing_since = await self._since(self._failing_since, failure)
        self._log(failure)

    async def on_end(self, seconds: float, *, shown: bool) -> bool:
        """Return whether a watch that ended without an error has served for long: an API server ends watches after minutes.

        One that ends at once and has ``shown`` no event counts as a failure: it shows nothing.
        """
        if seconds >= _SHORT_SECONDS:
            self.served()
            return True
        if not shown:
            await self._on_early_end()
        return False

    async def _on_early_end(self) -> None:
        failure = ApiUnavailable(f"the watch of {self._kind.plural} ends at once")
        self._ending_since = await self._since(self._ending_since, failure)
        self._log(failure)

    async def _since(self, since: float | None, failure: Exception) -> float:
        """Return the time since which all attempts have failed. Raises the failure if it is time to give up."""
        now = asyncio.get_running_loop().time()
        since = now if since is None else since
        if now - since >= self._give_up_seconds and await self._client.answers():
            raise failure
        return since

    def _log(self, failure: Exception) -> None:
        is_absent = isinstance(failure, ApiError) and failure.not_found
        if self.failed % _ATTEMPTS == _ATTEMPTS - 1 and not is_absent:
            reason = failure.reason if isinstance(failure, ApiError) else type(failure).__name__
            log.warning("watch fails, trying again", kind=self._kind.kind, attempts=self.failed + 1, reason=reason)

    async def wait(self) -> None:
        """Wait before the next attempt."""
        pause = min(_FIRST_PAUSE * 2**self.failed, _LONGEST_PAUSE)
        self.failed += 1
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))


def whole(body: Object) -> Object:
    """Return an object as it is."""
    return body


def watch(
    client: Client,
    kind: ResourceType,
    namespace: str | None,
    view: Callable[[Object], Object] = whole,
    give_up_seconds: float = math.inf,
    /,
    **selectors: str,
) -> AsyncGenerator[Snapshot | Change, None]:
    """Yield a Snapshot, then Changes, without end; after a gap another Snapshot.

    Each object is reduced by ``view`` as soon as it is read. Failures are retried: a watch that breaks off resumes from the
    last version that was seen, and the caller sees a Snapshot only if the API server has forgotten that version.

    Raises the last failure if no watch was accepted for ``give_up_seconds``, or each ended at once, although the API server answers.
    Lists alone would show changes too late.
    """
    source = _Source(client, kind, namespace, Reading(), selectors)

    async def listed() -> AsyncGenerator[tuple[Snapshot, str], None]:
        items, version = list[Object](), ""
        async for page in source.pages(_PAGE):
            items += map(view, page.items)
            version = version or page.resource_version
        yield Snapshot(items), version

    return _changes(source, listed, view, _Retries(client, kind, give_up_seconds))


def watch_rows(
    client: Client, kind: ResourceType, namespace: str | None, give_up_seconds: float = math.inf, /, **selectors: str
) -> AsyncGenerator[RowPage | Change, None]:
    """Yield the pages of a list, then Changes, without end; after a gap the pages of another list. Objects are rows.

    Resumes, retries and raises as ``watch`` does. No more than a page is held, however large the collection is.
    """
    source = _Source(client, kind, namespace, Reading(as_table=True), selectors)

    async def listed() -> AsyncGenerator[tuple[RowPage, str], None]:
        version = ""
        async for page in source.pages(_ROWS):
            is_first, is_last, version = not version, not page.next_page, version or page.resource_version
            yield RowPage(page.items, is_first, is_last, version, page.remaining), version if is_last else ""

    return _changes(source, listed, whole, _Retries(client, kind, give_up_seconds))


def watch_new_rows(
    client: Client, kind: ResourceType, namespace: str | None, give_up_seconds: float = math.inf, /, **selectors: str
) -> AsyncGenerator[Gap | Change, None]:
    """Yield a Gap, then Changes, without end; after a gap another Gap. Objects are rows, and none is listed.

    Resumes, retries and raises as ``watch`` does.
    """
    source = _Source(client, kind, namespace, Reading(as_table=True), selectors)

    async def listed() -> AsyncGenerator[tuple[Gap, str], None]:
        page = await client.page(kind, namespace, source.reading, limit=1, after="", **selectors)
        yield Gap(), page.resource_version

    return _changes(source, listed, whole, _Retries(client, kind, give_up_seconds))


class _Event(NamedTuple):
    """An event of a watch. ``object`` is what it shows, None for a bookmark."""

    type: str
    object: Object | None
    version: str


@dataclass(frozen=True)
class _Source:
    """A collection, and the form in which its objects are read."""

    client: Client
    kind: ResourceType
    namespace: str | None
    reading: Reading
    selectors: dict[str, str]

    def pages(self, limit: int) -> AsyncGenerator[Collection, None]:
        """Yield the collection in pages, of as few objects as their sizes ask for."""
        return bounded_pages(self.client, self.kind, self.namespace, self.reading, limit=limit, **self.selectors)

    async def events(self, version: str, on_open: Callable[[], None]) -> AsyncGenerator[_Event, None]:
        """Yield the events of one watch request until the API server ends it. Raises an ERROR event (410: too old) as ApiError."""
        params = self.selectors | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
            "resourceVersion": version,
        }
        path, tables = self.kind.path(self.namespace), TableReader() if self.reading.as_table else None
        stream = self.client.stream(path, params, silence=_SILENCE_SECONDS, accept=self.reading.media_type)
        async with stream as response:
            if response.status >= 400:
                parse_response(response.status, await response.read())
            on_open()
            rest = b""
            async for (
                chunk
            ) in response.content.iter_any():  # not by line, because aiohttp's line reader refuses long lines
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield _event(json.loads(line), tables)


def _event(event: Object, tables: TableReader | None) -> _Event:
    """Return an event, of which a Table shows one row. Raises ApiError for one that is a Status."""
    kind, shown = event["type"], event["object"]
    if kind == "ERROR":
        raise ApiError(shown.get("code", 500), shown)
    version = shown["metadata"]["resourceVersion"]
    rows = [shown] if tables is None else tables.rows(shown)
    return _Event(kind, None if kind == "BOOKMARK" else rows[0], version)


def _is_expired(failure: Exception) -> bool:
    return isinstance(failure, ApiError) and failure.status == 410


Listed = TypeVar("Listed")


async def _changes(
    source: _Source,
    listed: Callable[[], AsyncGenerator[tuple[Listed, str], None]],
    view: Callable[[Object], Object],
    retries: _Retries,
) -> AsyncGenerator[Listed | Change, None]:
    """Yield what ``listed`` does, the last of it with the version to watch from, then Changes, without end."""
    version, loop = "", asyncio.get_running_loop()
    while True:
        began, shown = loop.time(), False
        try:
            if not version:
                async for message, listed_version in listed():
                    yield message
                    version = listed_version
            began = loop.time()
            async for event in source.events(version, retries.accepted):
                version = event.version
                retries.served()
                shown = True
                if event.object is not None:
                    yield Change(view(event.object), deleted=event.type == "DELETED")
        except (ApiError, ApiUnavailable, aiohttp.ClientError, OSError, ValueError, LookupError, TypeError) as error:
            version = "" if _is_expired(error) else version
            await retries.on_failure(error)
        else:
            if await retries.on_end(loop.time() - began, shown=shown):
                continue
        if retries.failed >= _ATTEMPTS:
            version = ""
        await retries.wait()

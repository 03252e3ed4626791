"""Watches of a collection without end: list it once, watch it from that version, and resume wherever a watch breaks off."""

import asyncio
import json
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp
import structlog

from sympozium_api.client.api_errors import ApiError, ApiUnavailable
from sympozium_api.client.rest import Client, Collection, CollectionTooLarge, Reading, parse_response
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
_PAGE_BYTES = 5 * 1024 * 1024
"""Bytes of a page above which smaller pages are read, because one object may hold 1.5 MB."""


@dataclass(frozen=True)
class Snapshot:
    """The whole collection. An object that is not in it does not exist any more, whatever events were missed."""

    items: list[Object]


@dataclass(frozen=True)
class Change:
    """One object that was created or changed (``deleted`` false) or deleted."""

    object: Object
    deleted: bool


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


async def watch(
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
    retries, version, loop = _Retries(client, kind, give_up_seconds), "", asyncio.get_running_loop()
    while True:
        began, shown = loop.time(), False
        try:
            if not version:
                listed = await _listed(client, kind, namespace, view, selectors)
                yield Snapshot(listed.items)
                version = listed.resource_version
            began = loop.time()
            async for event in _events(client, kind, namespace, version, selectors, on_open=retries.accepted):
                version = event["object"]["metadata"]["resourceVersion"]
                retries.served()
                shown = True
                if event["type"] != "BOOKMARK":
                    yield Change(view(event["object"]), deleted=event["type"] == "DELETED")
        except (ApiError, ApiUnavailable, aiohttp.ClientError, OSError, ValueError, LookupError, TypeError) as error:
            if isinstance(error, ApiError) and error.status == 410:
                version = ""
            await retries.on_failure(error)
        else:
            if await retries.on_end(loop.time() - began, shown=shown):
                continue
        if retries.failed >= _ATTEMPTS:
            version = ""
        await retries.wait()


async def _listed(
    client: Client,
    kind: ResourceType,
    namespace: str | None,
    view: Callable[[Object], Object],
    selectors: dict[str, str],
) -> Collection:
    """Read a collection in pages, as few objects at a time as their sizes ask for."""
    items, version, after, limit = list[Object](), "", "", _PAGE
    while True:
        reading = Reading(max_bytes=_PAGE_BYTES if limit > 1 else None)
        try:
            page = await client.page(kind, namespace, reading, limit=limit, after=after, **selectors)
        except CollectionTooLarge:
            limit = max(1, limit // 5)
            continue
        items += map(view, page.items)
        version, after = version or page.resource_version, page.next_page
        if not after:
            return Collection(items, version)


async def _events(
    client: Client,
    kind: ResourceType,
    namespace: str | None,
    version: str,
    selectors: dict[str, str],
    *,
    on_open: Callable[[], None],
) -> AsyncIterator[Object]:
    """Yield the events of one watch request until the API server ends it. Raises an ERROR event (410: too old) as ApiError."""
    params = selectors | {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(_WATCH_SECONDS),
        "resourceVersion": version,
    }
    async with client.stream(kind.path(namespace), params, silence=_SILENCE_SECONDS) as response:
        if response.status >= 400:
            parse_response(response.status, await response.read())
        on_open()
        rest = b""
        async for chunk in response.content.iter_any():  # not by line, because aiohttp's line reader refuses long lines
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                event: Object = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), event["object"])
                yield event

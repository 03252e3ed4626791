"""Watches of a collection without end: list it, watch it from that version, and list it again if the version is too old."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import aiohttp

from sympozium_api.client.api_errors import ApiError, ApiUnavailable
from sympozium_api.client.rest import Client, parse_response
from sympozium_api.resources import Object, ResourceType

_WATCH_SECONDS = 240
_SILENCE_SECONDS = _WATCH_SECONDS + 15
_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 5.0


@dataclass(frozen=True)
class Snapshot:
    """The whole collection. An object that is not in it does not exist any more, whatever events were missed."""

    items: list[Object]


@dataclass(frozen=True)
class Change:
    """One object that was created or changed (``deleted`` false) or deleted."""

    object: Object
    deleted: bool


async def watch(
    client: Client, kind: ResourceType, namespace: str | None, **selectors: str
) -> AsyncGenerator[Snapshot | Change, None]:
    """Yield a Snapshot, then Changes, without end; after a gap another Snapshot.

    Failures are retried without end, with jittered backoff; the caller sees only a later Snapshot.
    """
    backoff = _FIRST_BACKOFF
    while True:
        try:
            listed = await client.collection(kind, namespace, **selectors)
            yield Snapshot(listed.items)
            backoff = _FIRST_BACKOFF
            version = listed.resource_version
            while True:
                async for event in _events(client, kind, namespace, version, selectors):
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield Change(event["object"], deleted=event["type"] == "DELETED")
        except (ApiError, ApiUnavailable, aiohttp.ClientError, TimeoutError, OSError):
            await asyncio.sleep(backoff * random.uniform(0.5, 1.5))
            backoff = min(backoff * 2, _LONGEST_BACKOFF)


async def _events(
    client: Client, kind: ResourceType, namespace: str | None, version: str, selectors: dict[str, str]
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
        rest = b""
        async for chunk in response.content.iter_any():  # not by line, because aiohttp's line reader refuses long lines
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                event: Object = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), event["object"])
                yield event

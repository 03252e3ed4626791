"""Watches of SympoziumConfigs and of the Gateway API. kopf does not watch them, because these kinds come and go at any time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial

import structlog

from sympozium_api import names
from sympozium_api.client import Client, Snapshot, watch
from sympozium_api.resources import CONFIGS, GATEWAYS, HTTP_ROUTES, Object, ResourceType
from sympozium_operator.cluster.object_guard import CountUnreadable, guarded
from sympozium_operator.result import Key
from sympozium_operator.watches.kopf_handlers import OURS

Find = Callable[[Object], Key]
RETRY = 5.0
"""Seconds until a watch that failed is opened again."""

log = structlog.get_logger()


async def follow(
    client: Client,
    add: Callable[..., None],
    namespace: str,
    scopes: Iterable[str | None],
    count_unreadable: CountUnreadable,
) -> None:
    """Feed the queue without end. A kind that is not installed is tried again every few seconds.

    ``namespace`` is the operator's own: its SympoziumConfig and its Gateway are watched even if ``scopes`` leave it out.
    """
    everywhere = None in scopes
    config_scopes = {None} if everywhere else {*scopes, namespace}
    changes = partial(partial, keys, client, count_unreadable)
    routes = f"{OURS},{names.LABEL_INSTANCE}"
    await asyncio.gather(
        *(_feed(add, changes(CONFIGS, scope, _config)) for scope in config_scopes),
        _feed(add, changes(GATEWAYS, namespace, lambda _: Key("config", namespace, names.CONFIG))),
        *(_feed(add, changes(HTTP_ROUTES, scope, _instance, labelSelector=routes)) for scope in scopes),
    )


async def keys(
    client: Client,
    count_unreadable: CountUnreadable,
    kind: ResourceType,
    namespace: str | None,
    find: Find,
    **selectors: str,
) -> AsyncIterator[Key]:
    """Yield the keys to reconcile for every change of an object of a kind, also for one deleted while the watch was broken."""
    known: dict[tuple[str, str], Key] = {}
    async for event in watch(client, kind, namespace, **selectors):
        if isinstance(event, Snapshot):
            current = {}
            for item in event.items:
                with guarded(count_unreadable, kind, item["metadata"]):
                    current[_address(item)] = find(item)
            for key in dict.fromkeys([*known.values(), *current.values()]):
                yield key
            known = current
        else:
            address = _address(event.object)
            before = known.pop(address, None)
            with guarded(count_unreadable, kind, event.object["metadata"]):
                key = find(event.object)
                if not event.deleted:
                    known[address] = key
                yield key
                continue
            if before is not None:
                yield before


async def _feed(add: Callable[..., None], changes: Callable[[], AsyncIterator[Key]]) -> None:
    """Add the keys of changes without end, whatever an event holds."""
    while True:
        try:
            async for key in changes():
                add(key)
        except Exception:
            log.exception("watch failed, retrying")
        await asyncio.sleep(RETRY)


def _address(body: Object) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _config(body: Object) -> Key:
    return Key("config", *_address(body))


def _instance(route: Object) -> Key:
    metadata = route["metadata"]
    return Key("instance", metadata["namespace"], metadata["labels"][names.LABEL_INSTANCE])

"""Watches of SympoziumConfigs and of the Gateway API. kopf does not watch them, because these kinds come and go at any time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from sympozium_api import names
from sympozium_api.client import Client, Snapshot, watch
from sympozium_api.resources import CONFIGS, GATEWAYS, HTTP_ROUTES, Object, ResourceType
from sympozium_operator.result import Key
from sympozium_operator.watches.kopf_handlers import OURS

Find = Callable[[Object], Key]


async def follow(client: Client, add: Callable[..., None], namespace: str, scopes: Iterable[str | None]) -> None:
    """Feed the queue without end. A kind that is not installed is tried again every few seconds.

    ``namespace`` is the operator's own: its SympoziumConfig and its Gateway are watched even if ``scopes`` leave it out.
    """
    everywhere = None in scopes
    config_scopes = {None} if everywhere else {*scopes, namespace}
    await asyncio.gather(
        *(_feed(add, keys(client, CONFIGS, scope, _config)) for scope in config_scopes),
        _feed(add, keys(client, GATEWAYS, namespace, lambda _: Key("config", namespace, names.CONFIG))),
        *(
            _feed(add, keys(client, HTTP_ROUTES, scope, _instance, labelSelector=f"{OURS},{names.LABEL_INSTANCE}"))
            for scope in scopes
        ),
    )


async def keys(
    client: Client, kind: ResourceType, namespace: str | None, find: Find, **selectors: str
) -> AsyncIterator[Key]:
    """Yield the keys to reconcile for every change of an object of a kind, also for one deleted while the watch was broken."""
    known: dict[tuple[str, str], Key] = {}
    async for event in watch(client, kind, namespace, **selectors):
        if isinstance(event, Snapshot):
            current = {_address(item): find(item) for item in event.items}
            for key in dict.fromkeys([*known.values(), *current.values()]):
                yield key
            known = current
        else:
            address, key = _address(event.object), find(event.object)
            if event.deleted:
                known.pop(address, None)
            else:
                known[address] = key
            yield key


async def _feed(add: Callable[..., None], keys: AsyncIterator[Key]) -> None:
    async for key in keys:
        add(key)


def _address(body: Object) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _config(body: Object) -> Key:
    return Key("config", *_address(body))


def _instance(route: Object) -> Key:
    metadata = route["metadata"]
    return Key("instance", metadata["namespace"], metadata["labels"][names.LABEL_INSTANCE])

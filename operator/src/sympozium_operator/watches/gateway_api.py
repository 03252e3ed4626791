"""Watches of SympoziumConfigs and of the Gateway API. kopf does not watch them, because these kinds come and go at any time."""

from collections.abc import Coroutine, Iterable, Iterator
from functools import partial
from typing import Any

from sympozium_api import names
from sympozium_api.resources import CONFIGS, GATEWAYS, HTTP_ROUTES
from sympozium_operator.result import Key
from sympozium_operator.watches.selectors import OURS
from sympozium_operator.watches.watch_feed import WatchFeed, by_name


def watches(feed: WatchFeed, namespace: str, scopes: Iterable[str | None]) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield the watches, ready to run without end.

    ``namespace`` is the operator's own: its SympoziumConfig and its Gateway are watched even if ``scopes`` leave it out.
    """
    for scope in {None} if None in scopes else {*scopes, namespace}:
        yield feed.follow(CONFIGS, scope, by_name(partial(Key, "config")))
    yield feed.follow(GATEWAYS, namespace, lambda _: (Key("config", namespace, names.CONFIG),))
    for scope in scopes:
        yield feed.follow(HTTP_ROUTES, scope, by_name(partial(_owner, namespace)), labelSelector=OURS)


def _owner(operator: str, namespace: str, route: str) -> Key | None:
    """Return the instance of a web endpoint's route; for another route of ours in the operator's namespace, the SympoziumConfig."""
    run = names.run_of_child(route)
    instance = names.instance_of_run(run) if run else None
    if instance:
        return Key("instance", namespace, instance)
    return Key("config", operator, names.CONFIG) if namespace == operator else None

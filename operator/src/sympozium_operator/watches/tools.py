"""Watches of Tools and ToolBindings, and of the egress guard's rights. kopf does not watch them, because an upgrade may lack the CRDs."""

from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from sympozium_api.resources import TOOL_BINDINGS, TOOLS
from sympozium_operator.reconcile.tool_reconciler import ALL
from sympozium_operator.result import Key
from sympozium_operator.watches.watch_feed import WatchFeed


def watches(feed: WatchFeed, scopes: Iterable[str | None]) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield the watches, ready to run without end."""
    for scope in scopes:
        for kind in (TOOLS, TOOL_BINDINGS):
            yield feed.follow(kind, scope, lambda namespace, _: Key("tools", namespace, ALL))

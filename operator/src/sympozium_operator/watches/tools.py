"""Watches of Tools, ToolBindings and Providers. Where their CRDs are not installed, a watch waits for them."""

from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any

from sympozium_api.resources import PROVIDERS, TOOL_BINDINGS, TOOLS, Object
from sympozium_operator.reconcile.tool_reconciler import ALL
from sympozium_operator.result import Key
from sympozium_operator.watches.watch_feed import WatchFeed


def watches(feed: WatchFeed, scopes: Iterable[str | None]) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield the watches, ready to run without end."""
    for scope in scopes:
        for kind in (TOOLS, TOOL_BINDINGS):
            yield feed.follow(kind, scope, keys_of_tools)
        yield feed.follow(PROVIDERS, scope, keys_of_provider)


def keys_of_tools(body: Object) -> Sequence[Key]:
    """Return the key of all Tools and ToolBindings of an object's namespace."""
    return (Key("tools", body["metadata"]["namespace"], ALL),)


def keys_of_provider(body: Object) -> Sequence[Key]:
    """Return the key of a Provider."""
    return (Key("provider", body["metadata"]["namespace"], body["metadata"]["name"]),)

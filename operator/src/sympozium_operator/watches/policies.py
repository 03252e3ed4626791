"""Watches of SympoziumPolicies, and of the labels of namespaces. Where the CRD is not installed, its watch waits for it."""

from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any

from sympozium_api.resources import NAMESPACES, POLICIES, Object
from sympozium_operator.reconcile.policy_reconciler import LABELS
from sympozium_operator.result import Key
from sympozium_operator.watches.watch_feed import WatchFeed


def watches(feed: WatchFeed, scopes: Iterable[str | None]) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield the watches, ready to run without end. An operator of some namespaces may read no namespace (decision 0017)."""
    for scope in scopes:
        yield feed.follow(POLICIES, scope, keys_of_policy)
        if scope is None:
            yield feed.follow(NAMESPACES, None, keys_of_namespace)


def keys_of_policy(policy: Object) -> Sequence[Key]:
    """Return the key of a policy."""
    return (Key("policy", policy["metadata"]["namespace"], policy["metadata"]["name"]),)


def keys_of_namespace(namespace: Object) -> Sequence[Key]:
    """Return the key of a namespace's labels."""
    return (Key("policy", namespace["metadata"]["name"], LABELS),)

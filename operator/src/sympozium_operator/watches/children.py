"""Watches of the children of instances and of server runs, so that an idle instance need not be read (decision 0051)."""

from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from sympozium_api import names
from sympozium_api.resources import (
    AUTOSCALERS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SERVICES,
)
from sympozium_operator.reconcile.tool_reconciler import ALL
from sympozium_operator.result import Key
from sympozium_operator.watches.selectors import OURS
from sympozium_operator.watches.watch_feed import WatchFeed, by_name

CHILDREN = (
    SERVICE_ACCOUNTS,
    NETWORK_POLICIES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    SERVICES,
    ROLES,
    ROLE_BINDINGS,
    DISRUPTION_BUDGETS,
    AUTOSCALERS,
)
"""Kinds of children, but Secrets, which the operator may not watch, and HTTPRoutes, which may not be installed."""


def watches(feed: WatchFeed, scopes: Iterable[str | None]) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield the watches, ready to run without end."""
    for scope in scopes:
        for kind in CHILDREN:
            yield feed.follow(kind, scope, by_name(owner), labelSelector=OURS)


def owner(namespace: str, child: str) -> Key | None:
    """Return the instance or the server run to reconcile for a child, from its name; None: anybody may set our label."""
    if child == names.EGRESS:
        return Key("tools", namespace, ALL)
    if agents := names.instance_of_agents(child):
        return Key("instance", namespace, agents)
    run = names.run_of_child(child)
    return Key("run", namespace, run) if run else None

"""Handlers of kopf, for kinds of which there are few objects (decision 0059).

A handler puts a key into the queue and nothing else, because the reconciler reads the live object.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, cast

import kopf

from sympozium_api.resources import SKILL_PACKS
from sympozium_operator.result import Key

Add = Callable[..., None]

_LONGEST_BACKOFF = 20.0


def registry(add: Add) -> kopf.OperatorRegistry:
    """Return all handlers; each calls ``add`` with the keys that an event concerns."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(kopf.login_with_service_account)
    kopf.on.login(registry=handlers)(kopf.login_with_kubeconfig)

    async def skill_pack(namespace: str | None, name: str, **_: Any) -> None:
        add(Key("skillpack", namespace or "", name))

    kopf.on.event(SKILL_PACKS.group, SKILL_PACKS.version, SKILL_PACKS.plural, registry=handlers)(skill_pack)
    return handlers


def settings() -> kopf.OperatorSettings:
    """Return settings that make kopf a watcher: it writes nothing, elects nobody, watches what the handlers need, and never gives up."""
    watcher = kopf.OperatorSettings()
    watcher.posting.enabled = False
    watcher.scanning.disabled = True
    watcher.networking.error_backoffs = Backoffs()
    watcher.queueing.idle_timeout = 0.05  # of each object's own task, of some 10 kB, after its last event
    return watcher


async def spawn(add: Add, *, identity: str, namespaces: Sequence[str]) -> Coroutine[Any, Any, None]:
    """Return kopf's watching, ready to run. It ends by itself only when a watch cannot be repaired.

    ``namespaces`` empty: the whole cluster.
    """
    before = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry(add),
        settings=settings(),
        identity=cast(
            Any, identity
        ),  # a NewType of a private module; kopf's own default asks for a user name, which a container does not have
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
    )
    return kopf.run_tasks(tasks, ignored=before)


class Backoffs:
    """Endless jittered delays, so that many watches do not return at the same moment after a long outage of the API server."""

    def __iter__(self) -> Iterator[float]:
        delay = 0.5
        while True:
            yield delay * random.uniform(0.5, 1.5)
            delay = min(delay * 2, _LONGEST_BACKOFF)

"""Handlers of kopf. A handler puts a key into the queue and nothing else, because the reconciler reads the live object."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, cast

import kopf

from sympozium_api import names
from sympozium_api.resources import INSTANCES, JOBS, RUNS, SKILL_PACKS, ResourceType
from sympozium_api.run import NOT_ENDED
from sympozium_operator.policy.pod_status import job_ended
from sympozium_operator.result import Key
from sympozium_operator.watches.selectors import OF_AGENTS

Add = Callable[..., None]

_LONGEST_BACKOFF = 20.0


def registry(add: Add) -> kopf.OperatorRegistry:
    """Return all handlers; each calls ``add`` with the keys that an event concerns."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(kopf.login_with_service_account)
    kopf.on.login(registry=handlers)(kopf.login_with_kubeconfig)

    async def instance(namespace: str, name: str, **_: Any) -> None:
        add(Key("instance", namespace, name))

    async def skill_pack(namespace: str, name: str, **_: Any) -> None:
        add(Key("skillpack", namespace, name))

    async def run(namespace: str, name: str, spec: kopf.Spec, **_: Any) -> None:
        add(Key("run", namespace, name))
        if spec.get("mode") == "server":
            add(Key("instance", namespace, str(spec.get("agentRef"))))

    async def job(namespace: str, labels: kopf.Labels, **_: Any) -> None:
        add(*_keys_of_job(namespace, labels))

    _on(handlers, INSTANCES)(instance)
    _on(handlers, SKILL_PACKS)(skill_pack)
    _on(handlers, RUNS, when=_run_matters)(run)
    _on(handlers, JOBS, when=_job_matters)(job)
    return handlers


def settings() -> kopf.OperatorSettings:
    """Return settings that make kopf a watcher: it writes nothing, elects nobody, watches what the handlers need, and never gives up."""
    watcher = kopf.OperatorSettings()
    watcher.posting.enabled = False
    watcher.scanning.disabled = True
    watcher.networking.error_backoffs = Backoffs()
    watcher.queueing.idle_timeout = 0.05  # of each object's own task, of some 10 kB, after its last event
    watcher.watching.field_selectors[RUNS.group, RUNS.version, RUNS.plural] = NOT_ENDED
    watcher.watching.label_selectors[JOBS.group, JOBS.version, JOBS.plural] = OF_AGENTS
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


def _keys_of_job(namespace: str, labels: Mapping[str, str]) -> list[Key]:
    """Return the run of a Job or, of an idle Job, the pool; none for a Job whose labels name neither."""
    if run := labels.get(names.LABEL_RUN):
        return [Key("run", namespace, run)]
    instance = labels.get(names.LABEL_INSTANCE)
    return [Key("pool", namespace, instance)] if instance else []


def _on(handlers: kopf.OperatorRegistry, kind: ResourceType, **filters: Any) -> Callable[[Any], Any]:
    return kopf.on.event(kind.group, kind.version, kind.plural, registry=handlers, **filters)


def _run_matters(type: str | None, spec: kopf.Spec, status: kopf.Status, **_: Any) -> bool:  # noqa: A002 - kopf's name
    """Return whether an event of a run needs a reconcile: our own write of Running does not; Jobs and time bring such a run back."""
    return type == "DELETED" or bool(spec.get("cancel")) or status.get("phase") != "Running"


def _job_matters(type: str | None, body: kopf.Body, **_: Any) -> bool:  # noqa: A002 - kopf's name
    """Return whether an event of a Job needs a reconcile: of a run's Job only its end, of a pool's Job everything."""
    idle = body["metadata"].get("labels", {}).get(names.LABEL_WARM) == names.IDLE
    return idle or type == "DELETED" or job_ended(dict(body))

"""Watches of instances, their runs and the Jobs of their agents, of which there may be thousands (decision 0059)."""

from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any

from sympozium_api import names
from sympozium_api.resources import INSTANCES, JOBS, RUNS, Object
from sympozium_api.run_selection import NOT_ENDED
from sympozium_operator.policy.pod_status import job_ended
from sympozium_operator.result import Key
from sympozium_operator.watches.selectors import OF_AGENTS
from sympozium_operator.watches.watch_feed import WatchFeed


def watches(feed: WatchFeed, scopes: Iterable[str | None]) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield the watches, ready to run without end."""
    for scope in scopes:
        yield feed.follow(RUNS, scope, keys_of_run, run_matters, at_once=True, fieldSelector=NOT_ENDED)
        yield feed.follow(JOBS, scope, keys_of_job, job_matters, at_once=True, labelSelector=OF_AGENTS)
        yield feed.follow(INSTANCES, scope, keys_of_instance)


def keys_of_instance(instance: Object) -> Sequence[Key]:
    """Return the key of an instance."""
    return (Key("instance", instance["metadata"]["namespace"], instance["metadata"]["name"]),)


def keys_of_run(run: Object) -> Sequence[Key]:
    """Return the key of a run and, of a server run, that of its instance."""
    namespace, spec = run["metadata"]["namespace"], run.get("spec") or {}
    key = Key("run", namespace, run["metadata"]["name"])
    return (key, Key("instance", namespace, str(spec.get("agentRef")))) if spec.get("mode") == "server" else (key,)


def run_matters(run: Object) -> bool:
    """Return whether a state of a run needs a reconcile: our own write of Running does not; Jobs and time bring such a run back."""
    spec, status = run.get("spec") or {}, run.get("status") or {}
    return bool(spec.get("cancel")) or status.get("phase") != "Running"


def keys_of_job(job: Object) -> Sequence[Key]:
    """Return the run of a Job or, of an idle Job, the pool; none for a Job whose labels name neither."""
    namespace, labels = job["metadata"]["namespace"], job["metadata"].get("labels") or {}
    if run := labels.get(names.LABEL_RUN):
        return (Key("run", namespace, run),)
    instance = labels.get(names.LABEL_INSTANCE)
    return (Key("pool", namespace, instance),) if instance else ()


def job_matters(job: Object) -> bool:
    """Return whether a state of a Job needs a reconcile: of a run's Job only its end, of a pool's Job each."""
    is_idle = (job["metadata"].get("labels") or {}).get(names.LABEL_WARM) == names.IDLE
    return is_idle or job_ended(job)

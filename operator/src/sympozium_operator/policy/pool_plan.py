"""Plan of a warm pool: how many idle Jobs are missing, and which of its Jobs are no longer needed."""

from dataclasses import dataclass
from datetime import datetime

from sympozium_api import names
from sympozium_api.resources import Object, created_at
from sympozium_operator.policy.pod_status import job_ended

INSPECT_AFTER = 10.0
"""Seconds after which a Job whose pod is not ready is inspected."""


@dataclass(frozen=True)
class PoolInput:
    """All that the plan may look at."""

    now: datetime
    jobs: tuple[Object, ...]
    """Idle Jobs of the instance."""
    claimed: frozenset[str]
    """Names of Jobs that open runs claim."""
    generation: str
    """Hash of the idle pods' current template; Jobs of another generation do not count."""
    target: int
    """Number of idle pods to have."""
    starting: int
    """Most pods that may start at a time, so that the nodes are left to the pods of runs."""
    waiting: int = 0
    """Number of runs that wait for an idle pod, and will use up as many."""


@dataclass(frozen=True)
class PoolPlan:
    """Changes to make to a pool."""

    missing: int
    """Number of Jobs to make."""
    is_held_up: bool
    """More Jobs are missing than may start now."""
    idle: int
    """Number of pods that wait for a run."""
    current: tuple[Object, ...]
    """Unclaimed Jobs of the current generation whose pod waits for a run, or starts."""
    ended: tuple[Object, ...]
    """Jobs that ended, to be deleted unless a run claims them."""
    unstarted: tuple[Object, ...]
    """Jobs whose pod has not been ready for long."""


def decide(facts: PoolInput) -> PoolPlan:
    """Return the plan for the idle Jobs of an instance."""
    unclaimed = [job for job in facts.jobs if job["metadata"]["name"] not in facts.claimed]
    live = [job for job in unclaimed if not job_ended(job) and not job["metadata"].get("deletionTimestamp")]
    current = [job for job in live if names.idle_job_generation(job["metadata"]["name"]) == facts.generation]
    ready = sum(map(is_ready, current))
    wanted = facts.target + facts.waiting - len(current)
    missing = max(0, min(wanted, facts.starting - (len(current) - ready)))
    return PoolPlan(
        missing=missing,
        is_held_up=missing < wanted,
        idle=ready,
        current=tuple(current),
        ended=tuple(job for job in unclaimed if job_ended(job)),
        unstarted=tuple(job for job in live if not is_ready(job) and _age(job, facts.now) >= INSPECT_AFTER),
    )


def supply(plan: PoolPlan, now: datetime) -> tuple[dict[str, float], list[str]]:
    """Return the Jobs that runs may wait for: the ages in seconds of those that start, by name, and the names of those that are ready."""
    starting = {job["metadata"]["name"]: _age(job, now) for job in plan.current if not is_ready(job)}
    return starting, [job["metadata"]["name"] for job in plan.current if is_ready(job)]


def has_started(job: Object) -> bool:
    """Return whether the Job's pod has started: it is ready, or has ended since."""
    return is_ready(job) or job_ended(job)


def is_ready(job: Object) -> bool:
    """Return whether the Job's pod is ready."""
    return bool((job.get("status") or {}).get("ready"))


def has_failed(job: Object) -> bool:
    """Return whether the Job's pod failed, instead of ending by itself."""
    return bool((job.get("status") or {}).get("failed"))


def outline(job: Object) -> Object:
    """Return the part of a Job that the plan looks at: without its template and ``managedFields``."""
    metadata = {name: value for name, value in job["metadata"].items() if name != "managedFields"}
    return {name: value for name, value in job.items() if name != "spec"} | {"metadata": metadata}


def idle_selector(instance: str) -> str:
    """Return the label selector of the Jobs of an instance's pool that no run owns."""
    return f"{names.LABEL_INSTANCE}={instance},{names.LABEL_WARM}={names.IDLE}"


def _age(job: Object, now: datetime) -> float:
    return (now - created_at(job)).total_seconds()

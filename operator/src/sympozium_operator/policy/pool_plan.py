"""How many idle pods an instance's warm pool should have, and which of its Jobs are of no more use. Pure; time is handed in."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sympozium_api import names
from sympozium_api.clock import parsed
from sympozium_api.resources import Object
from sympozium_operator.policy.pod_status import job_ended

UNSTARTED_PATIENCE = 10.0
"""Seconds after which a Job whose pod is not ready is looked at."""


@dataclass(frozen=True)
class PoolPlan:
    """What to do for a pool."""

    missing: int
    """Jobs to make."""
    idle: int
    """Pods that wait for a run."""
    ended: tuple[Object, ...]
    """Jobs that ended; to be deleted unless a run claims them."""
    unstarted: tuple[Object, ...]
    """Jobs whose pod is not ready for long."""


def decide(
    jobs: Iterable[Object], *, claimed: Iterable[str], generation: str, target: int, starting: int, now: datetime
) -> PoolPlan:
    """The plan for the idle Jobs of an instance. ``claimed``: names of those that open runs are known to claim; ``starting``: how
    many pods may start at a time, so that a node that is slow to start them gets fewer.
    """
    claimed = set(claimed)
    own = [job for job in jobs if job["metadata"]["name"] not in claimed]
    live = [job for job in own if not job_ended(job) and not job["metadata"].get("deletionTimestamp")]
    current = [job for job in live if f"-warm-{generation}-" in job["metadata"]["name"]]
    ready = sum(map(is_ready, current))
    unstarted = [job for job in live if not is_ready(job) and _age(job, now) >= UNSTARTED_PATIENCE]
    return PoolPlan(
        missing=max(0, min(target - len(current), starting - (len(current) - ready))),
        idle=ready,
        ended=tuple(job for job in own if job_ended(job)),
        unstarted=tuple(unstarted),
    )


def is_ready(job: Object) -> bool:
    """Whether the Job's pod runs."""
    return bool((job.get("status") or {}).get("ready"))


def has_failed(job: Object) -> bool:
    """Whether the Job's pod ended otherwise than by itself."""
    return bool((job.get("status") or {}).get("failed"))


def _age(job: Object, now: datetime) -> float:
    return (now - parsed(job["metadata"]["creationTimestamp"])).total_seconds()


def idle_selector(instance: str) -> str:
    """The label selector of the Jobs of an instance's pool that no run owns."""
    return f"{names.LABEL_INSTANCE}={instance},{names.LABEL_WARM}={names.IDLE}"

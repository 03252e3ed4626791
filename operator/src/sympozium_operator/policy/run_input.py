"""Input of the decision about a run in mode task: all that the decision may look at, frozen."""

from dataclasses import dataclass
from datetime import datetime

from sympozium_api.effective_policy import Denial, EffectivePolicy
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_targets import RunModels
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun


@dataclass(frozen=True)
class RunLimits:
    """Settings that bound a run, in seconds."""

    start_timeout: int
    """Time that a pod with a node has for its start."""
    queue_timeout: int
    """Time that a run may wait for its start, unless its instance has another."""
    failed_job_retention: int


@dataclass(frozen=True)
class RunSlot:
    """Snapshot of a run's slot in the fair queue."""

    admitted: bool = False
    """The run may make its Job: its turn has come, or came earlier."""
    position: int | None = None
    """Place in the queue, the first being 1; None: it is not to be written now."""
    requeue_after: float = 2.0
    """Seconds until the position is to be written."""
    offered: bool = False
    """Idle pods had the time to claim the run."""
    idle_pod_in: float | None = None
    """Seconds until an idle pod is expected for the run; None: none, or a cold start is sooner."""
    job_known: bool = False
    """This process knows that the run's Job was made."""


@dataclass(frozen=True)
class RunInput:
    """All that the decision may look at."""

    now: datetime
    limits: RunLimits
    run: AgentRun
    instance: SympoziumInstance | None = None
    instance_uid: str | None = None
    """UID of the instance, if it was read to verify a claim."""
    instance_failure: str | None = None
    """Reason why the instance cannot be read, although it exists."""
    slot: RunSlot = RunSlot()
    policy: EffectivePolicy | None = None
    """All policies that bind the run's instance; None: none does."""
    denial: Denial | None = None
    """Refusal of the run by the policy that binds its instance."""
    is_policy_awaited: bool = False
    """A policy binds the instance, and the instance's document, from which tasks are made, does not hold it yet."""
    secret_failure: str | None = None
    """Reason why the model's Secret cannot be used, if one is named."""
    secret_refusal: str | None = None
    """Reason why the run may not have the Secret that it names, if it names one."""
    model_failure: str | None = None
    """Reason why the run cannot have a model of the Provider that it or its instance names."""
    models: RunModels | None = None
    """Models that the run asks; None: no Provider has any of them."""
    job: Object | None = None
    outranked: bool = False
    """Another run was the first to claim the pod that this run claims."""
    pods: tuple[Object, ...] | None = None
    """Pods of the Job; None: they were not inspected."""
    nodes: tuple[Object, ...] = ()
    """All nodes, if the pod has none."""
    warning: str | None = None
    """Latest Warning event about the Job, or about its pod if it has one."""
    quota_may_free: bool = False
    """Another run of the namespace holds a Job, and with it a part of the namespace's quota."""

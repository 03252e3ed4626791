"""Next steps of the operator with a run in mode task: the values of a decision."""

from dataclasses import dataclass

from sympozium_api import agent_records
from sympozium_api.instance import SympoziumInstance
from sympozium_api.model_targets import RunModels
from sympozium_api.resources import Object

OFFER_SECONDS = 0.3
"""Seconds in which the instance's idle pods may claim a run that was not made for one of them."""


@dataclass(frozen=True)
class Wait:
    """Do nothing now."""

    requeue_after: float | None


@dataclass(frozen=True)
class Report:
    """Write the status of a run that continues."""

    status: Object
    requeue_after: float


@dataclass(frozen=True)
class Queue:
    """Wait for the run's turn."""

    requeue_after: float
    status: Object | None = None
    """Status with the position in the queue, if the position changed."""


@dataclass(frozen=True)
class Offer:
    """Wait for an idle pod to claim the run: briefly, or until the next one is expected."""

    requeue_after: float = OFFER_SECONDS
    waits: bool = False
    """The run waits for a pod that starts, and uses it up."""


@dataclass(frozen=True)
class Start:
    """Make the run's Job."""

    instance: SympoziumInstance
    served: bool
    """The instance has a web endpoint, whose replicas serve the agent API."""
    deadline: int
    """Seconds that the Job may be active."""
    status: Object | None = None
    """Status that takes back what was written while the run waited."""
    models: RunModels | None = None
    """Models that the run asks; None: no Provider has any of them."""


@dataclass(frozen=True)
class Adopt:
    """Make the Job of the claimed pod the run's own."""

    deadline: int
    """Seconds that the Job may be active in all."""


@dataclass(frozen=True)
class Restart:
    """Delete the claimed pod's Job and start cold, because the pod has ended before the run reached it."""


@dataclass(frozen=True)
class End:
    """Write the terminal status that this record means."""

    record: agent_records.End
    pod: Object | None = None
    delete_job: bool = False


@dataclass(frozen=True)
class DeleteJob:
    """Delete the Job of an ended run."""


Decision = Wait | Report | Queue | Offer | Start | Adopt | Restart | End | DeleteJob

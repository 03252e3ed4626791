"""Messages of Events (``kubectl describe``): each change once. Pure, and without content of runs.

A run that succeeds has no Event, because an Event is a write, and every request is a run (rule 11).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sympozium_api.base import Condition
from sympozium_api.config import SympoziumConfig
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun
from sympozium_operator.policy import probe_conditions
from sympozium_operator.policy.conditions import SUMMARIES, find, new_failures

_QUOTES = ("model_error", "agent_error")
"""Errors whose message may quote the model: the run's status has it, the Event does not."""
_GOOD_NEWS = {
    "Accepted": "The spec was accepted.",
    "ModelReady": "The model's credentials were found.",
    "WebEndpointReady": "The web endpoint is serving.",
}


@dataclass(frozen=True)
class EventMessage:
    """Type, reason (in CamelCase) and message of one Event."""

    type: str
    reason: str
    message: str


def unreadable(message: str) -> EventMessage:
    """Return the Event of an object that the operator cannot read or act on."""
    return EventMessage("Warning", "Unreadable", message)


def stored_bytes_exceeded(runs: int, most: int, *, has_archive: bool) -> EventMessage:
    """Return the Event of ended runs, this one the last of them, that were deleted because their namespace stores too many bytes."""
    message = (
        f"{runs} ended runs were deleted, because the namespace stores more than {most} bytes of requests and answers"
    )
    if has_archive:
        message += "; the archive has not pruned them, and may not hold them"
    return EventMessage("Warning", "StoredBytesExceeded", message)


def deleted_unarchived(runs: int, ceiling: int) -> EventMessage:
    """Return the Event of an instance whose oldest ended runs were deleted although the archive has not pruned them."""
    message = (
        f"{runs} ended runs were deleted, because the instance has more than {ceiling} that the archive has not pruned;"
        " the archive may not hold them"
    )
    return EventMessage("Warning", "DeletedUnarchived", message)


def of_instance(instance: SympoziumInstance, status: Object) -> Iterator[EventMessage]:
    """Yield the Events for the changes between an instance's status and its new one."""
    yield from _warnings(instance.status.conditions, status)
    for condition in status["conditions"]:
        before = find(instance.status.conditions, condition["type"])
        if (
            condition["type"] not in (*SUMMARIES, *probe_conditions.TYPES)
            and condition["status"] == "True"
            and (before is None or before.status == "False")
        ):
            yield from _good(instance, condition, status, first=before is None)
    was_on = instance.status.web_endpoint is not None and instance.status.web_endpoint.enabled
    if was_on and not status["webEndpoint"]["enabled"]:
        yield EventMessage(
            "Normal", "WebEndpointRemoved", "The web endpoint was disabled; its objects are being removed."
        )


def of_config(config: SympoziumConfig, status: Object) -> Iterator[EventMessage]:
    """Yield the Events for new failures of a SympoziumConfig."""
    yield from _warnings(config.status.conditions, status)


def of_policy(before: Iterable[Condition], status: Object) -> Iterator[EventMessage]:
    """Yield the Events for new failures of a SympoziumPolicy."""
    yield from _warnings(before, status)


def _warnings(before: Iterable[Condition], status: Object) -> Iterator[EventMessage]:
    for condition in new_failures(before, status["conditions"]):
        yield EventMessage("Warning", condition["reason"], condition["message"])


def _good(instance: SympoziumInstance, condition: Object, status: Object, *, first: bool) -> Iterator[EventMessage]:
    kind = condition["type"]
    if kind == "ModelReady" and first:
        return  # nothing was missing before
    text = _GOOD_NEWS.get(kind) or str(condition["message"])
    if kind == "WebEndpointReady" and (url := status["webEndpoint"].get("url")):
        text = f"The web endpoint of {instance.metadata.name} is serving at {url}."
    yield EventMessage("Normal", condition["reason"], text)


def key_generated(secret: str) -> EventMessage:
    """Return the Event for a generated API key."""
    return EventMessage("Normal", "ApiKeyGenerated", f"A new API key was generated in the Secret {secret}.")


def was_unsettled(server: AgentRun) -> bool:
    """Return whether a serving run last reported pods that were not up to date and available: a rollout, or a crash."""
    started = find(server.status.conditions, "Started")
    return server.status.phase == "Serving" and started is not None and started.status == "False"


def settled(deployment: Object) -> EventMessage:
    """Return the Event for a Deployment whose replicas are all up to date and available again."""
    count = deployment["spec"].get("replicas", 1)
    text = f"All replicas ({count}) of {deployment['metadata']['name']} are up to date and available."
    return EventMessage("Normal", "ReplicasReady", text)


def write_refused(message: str) -> EventMessage:
    """Return the Event for a write about an object that the API server refuses for good."""
    return EventMessage("Warning", "WriteRefused", message)


def name_taken(message: str) -> EventMessage:
    """Return the Event for an object that cannot be made, because somebody else's has its name."""
    return EventMessage("Warning", "NameTaken", message)


def waiting(reason: str) -> EventMessage:
    """Return the Event for a run that waits for a node or for its namespace's quota."""
    return EventMessage("Normal", "WaitingForCapacity", f"The run waits for room: {reason}")


def of_waiting_run(run: AgentRun, status: Object) -> Iterator[EventMessage]:
    """Yield the Events for new reasons why a run cannot start."""
    if "conditions" in status:
        yield from _warnings(run.status.conditions, status)


def of_run(run: AgentRun) -> EventMessage | None:
    """Return the Event for a run that has ended; None if it has none."""
    error = run.status.error
    match run.status.phase:
        case "Failed" if error and error.type in _QUOTES:
            return EventMessage(
                "Warning", "RunFailed", f"{error.type} ({error.http_status}); status.error has the message"
            )
        case "Failed" if error:
            return EventMessage("Warning", "RunFailed", f"{error.type}: {error.message}")
        case "Cancelled":
            return EventMessage(
                "Normal", "RunCancelled", "The run was cancelled: its caller disconnected, or spec.cancel was set."
            )
    return None

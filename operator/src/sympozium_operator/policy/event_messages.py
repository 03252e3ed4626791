"""What people are told with an Event (``kubectl describe``): what changed, once. Pure, and without content.

A run that succeeds is no news: an Event is a write, and every request is a run (rule 11).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sympozium_api.base import Condition
from sympozium_api.config import SympoziumConfig
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object
from sympozium_api.run import AgentRun
from sympozium_operator.policy.conditions import find, troubles

_QUOTES = ("model_error", "agent_error")
"""Errors whose message may hold what the model said: people find it in the run's status."""
_GOOD_NEWS = {
    "Accepted": "The spec can be acted on.",
    "ModelReady": "The model's credentials are there.",
    "WebEndpointReady": "The web endpoint answers.",
}


@dataclass(frozen=True)
class EventMessage:
    """One Event's type, reason (a word in CamelCase) and message."""

    type: str
    reason: str
    message: str


def of_instance(instance: SympoziumInstance, status: Object) -> Iterator[EventMessage]:
    """What is new in an instance's status, compared with the one that it has."""
    yield from _warnings(instance.status.conditions, status)
    for condition in status["conditions"]:
        before = find(instance.status.conditions, condition["type"])
        if condition["status"] == "True" and (before is None or before.status == "False"):
            yield from _good(instance, condition, status, first=before is None)
    was_on = instance.status.web_endpoint is not None and instance.status.web_endpoint.enabled
    if was_on and not status["webEndpoint"]["enabled"]:
        yield EventMessage("Normal", "WebEndpointRemoved", "The web endpoint is switched off; what belongs to it goes.")


def of_config(config: SympoziumConfig, status: Object) -> Iterator[EventMessage]:
    """What went wrong with the settings of the installation."""
    yield from _warnings(config.status.conditions, status)


def _warnings(before: Iterable[Condition], status: Object) -> Iterator[EventMessage]:
    for condition in troubles(before, status["conditions"]):
        yield EventMessage("Warning", condition["reason"], condition["message"])


def _good(instance: SympoziumInstance, condition: Object, status: Object, *, first: bool) -> Iterator[EventMessage]:
    kind = condition["type"]
    if kind == "ModelReady" and first:
        return  # nobody missed them
    text = _GOOD_NEWS.get(kind) or str(condition["message"])
    if kind == "WebEndpointReady" and (url := status["webEndpoint"].get("url")):
        text = f"The web endpoint of {instance.metadata.name} answers at {url}."
    yield EventMessage("Normal", condition["reason"], text)


def key_generated(secret: str) -> EventMessage:
    """An API key was made."""
    return EventMessage("Normal", "ApiKeyGenerated", f"The Secret {secret} has a new API key.")


def was_unsettled(server: AgentRun) -> bool:
    """Whether a server run that answered was last said to have pods that are not as they should be: a rollout, or a crash."""
    started = find(server.status.conditions, "Started")
    return server.status.phase == "Serving" and started is not None and started.status == "False"


def settled(deployment: Object) -> EventMessage:
    """All replicas are as they should be again."""
    count = deployment["spec"].get("replicas", 1)
    text = f"All replicas ({count}) of {deployment['metadata']['name']} are as the instance wants them."
    return EventMessage("Normal", "ReplicasReady", text)


def of_run(run: AgentRun) -> EventMessage | None:
    """What is told of a run that has ended; None: nothing."""
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
                "Normal", "RunCancelled", "The run was cancelled: its caller left, or spec.cancel was set."
            )
    return None

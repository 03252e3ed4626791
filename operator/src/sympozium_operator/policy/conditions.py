"""Status conditions as metav1.Condition wants them: the transition time moves only when the status does."""

from collections.abc import Iterable
from dataclasses import dataclass

from sympozium_api.base import RECONCILING, Condition
from sympozium_api.resources import Object

READY = "Ready"
"""Type of the condition that sums up the others, and has no Event of its own."""
STALLED = "Stalled"
"""Type of the condition, never False, of an object that only a change of its spec can make ready; kstatus reads it."""
SUMMARIES = (READY, STALLED, RECONCILING)
"""Types of the conditions that repeat what others say, and have no Events of their own."""


@dataclass(frozen=True)
class ConditionUpdate:
    """New state of a condition; ``ok`` means status True."""

    type: str
    ok: bool
    reason: str
    message: str = ""
    is_unknown: bool = False
    """True: the status is Unknown."""


def write_refused(message: str) -> ConditionUpdate:
    """Return the condition of an object of which the cluster refuses a child for good; ``message`` is the API server's."""
    return ConditionUpdate("Accepted", ok=False, reason="WriteRefused", message=message)


def name_taken(message: str) -> ConditionUpdate:
    """Return the condition of an object one of whose children has the name of somebody else's object, which the message names."""
    return ConditionUpdate("Accepted", ok=False, reason="NameTaken", message=message)


def merged(
    old: Iterable[Condition],
    updates: Iterable[ConditionUpdate],
    *,
    generation: int,
    now: str,
    without: tuple[str, ...] = (),
) -> list[Object]:
    """Return the conditions with these updates, and ``without`` some types; other conditions stay as they are."""
    known = {condition.type: condition for condition in old if condition.type not in without}
    rendered = {name: condition.model_dump(by_alias=True, exclude_none=True) for name, condition in known.items()}
    for update in updates:
        before = known.get(update.type)
        status = "Unknown" if update.is_unknown else str(update.ok)
        moved = before is None or before.status != status or before.observed_generation is None  # the CRD's default
        rendered[update.type] = {
            "type": update.type,
            "status": status,
            "reason": update.reason[:64],
            "message": update.message[:1024],
            "observedGeneration": generation,
            "lastTransitionTime": now if before is None or moved else before.last_transition_time,
        }
    return list(rendered.values())


def gateway_api_update(
    kind: str, subject: str, status: Object, generation: int, *wanted: str
) -> ConditionUpdate | None:
    """Return the first of the ``wanted`` Gateway API conditions that is not True for this generation; None if all are True.

    The update has the reason of the Gateway API's controller; a condition that the controller has not set yet is ``Starting``.
    """
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    for name in wanted:
        condition = conditions.get(name)
        if condition is None or condition.get("observedGeneration", 0) < generation or condition["status"] == "Unknown":
            return ConditionUpdate(
                kind, ok=False, reason="Starting", message=f"{subject}: its controller has not processed it yet"
            )
        if condition["status"] != "True":
            return ConditionUpdate(
                kind, ok=False, reason=condition["reason"], message=f"{subject}: {condition.get('message', '')}"
            )
    return None


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """Return the condition of a type."""
    return next((condition for condition in conditions if condition.type == kind), None)


def new_failures(old: Iterable[Condition], new: Iterable[Object]) -> list[Object]:
    """Return the conditions that newly report a failure: no start in progress, and nothing that another object reports."""
    known = {condition.type: (condition.status, condition.reason) for condition in old}
    return [
        condition
        for condition in new
        if condition["status"] == "False"
        and condition["type"] not in SUMMARIES
        and condition["reason"] not in ("Starting", "Draining", "GatewayNotReady")
        and known.get(condition["type"]) != (condition["status"], condition["reason"])
    ]


def merge_patch(old: Object, new: Object) -> Object:
    """Return the JSON merge patch (RFC 7386) that turns an old status into a new one; empty if they are equal."""
    patch: Object = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif before != value:
            patch[key] = value
    return patch

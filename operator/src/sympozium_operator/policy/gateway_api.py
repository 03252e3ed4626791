"""Conditions as the Gateway API's controllers write them, turned into findings. Pure functions."""

from sympozium_api.resources import Object
from sympozium_operator.policy.conditions import Finding


def finding(kind: str, about: str, status: Object, generation: int, *wanted: str) -> Finding | None:
    """Why one of the ``wanted`` conditions is not True for this generation; None: all of them are.

    What the controller says is passed on with its own reason; what it has not said yet is a start that is waited for.
    """
    said = {condition["type"]: condition for condition in status.get("conditions") or []}
    for name in wanted:
        found = said.get(name)
        if found is None or found.get("observedGeneration", 0) < generation or found["status"] == "Unknown":
            return Finding(
                kind, ok=False, reason="Starting", message=f"{about}: its controller has not looked at it yet"
            )
        if found["status"] != "True":
            return Finding(kind, ok=False, reason=found["reason"], message=f"{about}: {found.get('message', '')}")
    return None

"""Cause of the wait of a run that has not begun to answer, in words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Stage = Literal["queue", "blocked", "pod", "model"]


@dataclass(frozen=True)
class Waiting:
    """A wait, and a sentence about it."""

    stage: Stage
    text: str


def waiting_of(status: Mapping[str, Any]) -> Waiting:
    """Return what a run waits for, by its status as the API server has it."""
    if status.get("phase") == "Running":
        return Waiting("model", "The model answers …")
    if isinstance(place := status.get("queuePosition"), int):
        ahead = "it starts next" if place == 1 else f"{place - 1} before it"
        return Waiting("queue", f"Place {place} in the queue: {ahead}")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Accepted" and condition.get("status") == "False":
            return Waiting(
                "blocked", str(condition.get("message") or condition.get("reason") or "The run cannot start yet")
            )
    if status.get("start") == "warm":
        return Waiting("model", "An idle pod has taken the question …")
    return Waiting("pod", "A pod starts …")

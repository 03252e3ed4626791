"""Reports of objects that the API server stores and this version's models cannot read: a condition that names the field."""

from dataclasses import dataclass

from pydantic import ValidationError

from sympozium_api.base import Condition
from sympozium_api.client import ApiError, Client
from sympozium_api.clock import Clock
from sympozium_api.reading import Unreadable
from sympozium_api.resources import RUNS, SKILL_PACKS, Object, ResourceType
from sympozium_api.run_status import TERMINAL_PHASES
from sympozium_api.timestamps import timestamp
from sympozium_operator.policy.conditions import ConditionUpdate, merge_patch, merged


@dataclass(frozen=True)
class UnreadableObjects:
    """Writer of the conditions of unreadable objects."""

    client: Client
    clock: Clock

    async def report(self, kind: ResourceType, raw: Object, failure: Unreadable) -> None:
        """Write ``Accepted=False`` into an object's status, or the phase where it has no conditions; nothing if it is written."""
        before = raw.get("status") or {}
        if before.get("phase") in TERMINAL_PHASES:
            return
        after = before | ({} if kind is RUNS else {"phase": "Error"})
        if kind is not SKILL_PACKS:
            update = ConditionUpdate("Accepted", ok=False, reason="InvalidSpec", message=failure.fields)
            after["conditions"] = merged(
                _readable(before.get("conditions") or []),
                [update],
                generation=raw["metadata"].get("generation", 0),
                now=timestamp(self.clock.now()),
            )
        if patch := merge_patch(before, after):
            metadata = raw["metadata"]
            try:
                await self.client.patch(
                    kind, metadata["namespace"], metadata["name"], {"status": patch}, subresource="status"
                )
            except ApiError as error:
                if not error.not_found and not error.invalid:
                    raise


def _readable(conditions: list[Object]) -> list[Condition]:
    found = []
    for condition in conditions:
        try:
            found.append(Condition.model_validate(condition))
        except ValidationError:
            continue
    return found

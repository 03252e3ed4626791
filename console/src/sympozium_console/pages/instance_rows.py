"""Instances as rows of a table. Pure."""

from dataclasses import dataclass

from pydantic import ValidationError

from sympozium_api import effective
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import Object


@dataclass(frozen=True)
class InstanceRow:
    """Row of an instance in the list."""

    namespace: str
    name: str
    title: str
    phase: str
    reason: str
    """Why the phase is not what it should be: the message of the first condition that says so; empty: nothing is wrong."""
    model: str
    is_on: bool
    """True if its web endpoint is switched on."""
    url: str
    idle: int | None
    """Idle pods; None: it has no warm pool."""
    created: str | None

    @property
    def path(self) -> str:
        """Address of the instance's page."""
        return f"/instances/{self.namespace}/{self.name}"

    @classmethod
    def _unreadable(cls, body: Object, error: ValidationError) -> "InstanceRow":
        first, metadata = error.errors(include_url=False, include_input=False)[0], body["metadata"]
        reason = f"This version cannot read {'.'.join(map(str, first['loc']))}: {first['msg']}"
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            title="",
            phase="Unreadable",
            reason=reason,
            model="",
            is_on=False,
            url="",
            idle=None,
            created=metadata.get("creationTimestamp"),
        )

    @classmethod
    def of(cls, body: Object) -> "InstanceRow":
        """Return the row of an instance, also of one that this version cannot read."""
        try:
            instance = SympoziumInstance.model_validate(body)
        except ValidationError as error:
            return cls._unreadable(body, error)
        status, agent = instance.status, instance.spec.agents.default
        failing = [condition for condition in status.conditions if condition.status == "False"]
        pool = status.warm_pool
        return cls(
            namespace=instance.metadata.namespace,
            name=instance.metadata.name,
            title=instance.spec.title or "",
            phase=status.phase or "Pending",
            reason=failing[0].message if failing else "",
            model=agent.model,
            is_on=effective.web_endpoint_is_on(instance),
            url=(status.web_endpoint.url if status.web_endpoint else None) or "",
            idle=pool.idle if pool and agent.warm_pool.size else None,
            created=body["metadata"].get("creationTimestamp"),
        )

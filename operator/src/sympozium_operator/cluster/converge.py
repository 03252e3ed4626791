"""Convergence of the cluster to the desired objects, without a write where nothing differs."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from sympozium_api import resources as kinds
from sympozium_api.base import Resource
from sympozium_api.client import ApiError, Client
from sympozium_api.names import FIELD_MANAGER, MANAGED_BY
from sympozium_api.resources import Object, ResourceType
from sympozium_operator.cluster.repairs import Repairs
from sympozium_operator.desired.drift import ANNOTATION_APPLIED, has_drifted, with_applied_digest
from sympozium_operator.policy.pod_status import controller, controller_uid
from sympozium_operator.result import NameTaken, RepairDelayed, RetryLater

log = structlog.get_logger()

_TYPES = {
    kind.kind: kind
    for kind in (
        kinds.SERVICE_ACCOUNTS,
        kinds.ROLES,
        kinds.ROLE_BINDINGS,
        kinds.DEPLOYMENTS,
        kinds.SERVICES,
        kinds.CONFIG_MAPS,
        kinds.DISRUPTION_BUDGETS,
        kinds.AUTOSCALERS,
        kinds.SECRETS,
        kinds.RUNS,
        kinds.NETWORK_POLICIES,
        kinds.GATEWAYS,
        kinds.HTTP_ROUTES,
    )
}


@dataclass(frozen=True)
class Converger:
    """Writer of children."""

    client: Client
    repairs: Repairs

    async def __call__(self, desired: Sequence[Object], *, read: Iterable[Object | None] = ()) -> list[Object]:
        """Apply the objects that differ, in the order given; return all live objects afterwards.

        Objects in ``read`` were read a moment ago and are not read again. An object that somebody else changes again and again
        stays changed until its next repair, for which this reconcile is repeated.

        Raises NameTaken for a live object that another owner has, or that the operator did not make; RetryLater for one that
        belongs to a former owner of the same name, because Kubernetes is about to delete it; RepairDelayed for one that is
        deleted again and again.
        """
        applied = [with_applied_digest(body) for body in desired]
        known = {_name(body): body for body in read if body is not None}
        live = await asyncio.gather(*(_live(self.client, known, body) for body in applied))
        return [await self._converge(found_body, body) for found_body, body in zip(live, applied, strict=True)]

    async def _converge(self, live: Object | None, desired: Object) -> Object:
        if live is not None:
            _refuse_to_adopt(live, desired)
            if not has_drifted(live, desired):
                return live
        if seconds := self.repairs.wait(desired):
            title = f"{desired['kind']} {desired['metadata']['name']}"
            log.warning("repair delayed: changed or deleted again and again", object=title, seconds=round(seconds, 1))
            if live is None:
                raise RepairDelayed(f"{title} is deleted again and again")
            return live
        body = await _apply(self.client, live, desired)
        self.repairs.applied(desired)
        return body


async def remove(client: Client, kind: ResourceType, owner: Resource, name: str) -> None:
    """Delete an object that its owner should no longer have; somebody else's object stays."""
    live = await client.find(kind, owner.metadata.namespace, name)
    if live is not None:
        await remove_found(client, kind, owner, live)


async def remove_found(client: Client, kind: ResourceType, owner: Resource, live: Object) -> None:
    """Delete an object that was just read, if ``owner`` is its controller owner, or if it lost its owner and the operator made it."""
    if controller_uid(live) == owner.metadata.uid or (not controller(live) and _was_made_here(live)):
        await delete(client, kind, live)


async def delete(client: Client, kind: ResourceType, body: Object) -> None:
    """Delete this very object, and no later one of the same name."""
    metadata = body["metadata"]
    await client.delete(kind, metadata["namespace"], metadata["name"], uid=metadata["uid"])


async def _live(client: Client, known: Mapping[tuple[str, str], Object], desired: Object) -> Object | None:
    return known.get(_name(desired)) or await client.find(*_address(desired))


async def _apply(client: Client, live: Object | None, desired: Object) -> Object:
    kind, namespace, name = _address(desired)
    try:
        return await client.apply(kind, namespace, desired, field_manager=FIELD_MANAGER)
    except ApiError as error:
        if live is None or not error.invalid:
            raise
        # Beside what another writer put there ours is invalid, e.g. as the second port of one name. A merge patch replaces whole lists.
        return await client.patch(kind, namespace, name, desired)


def _refuse_to_adopt(live: Object, desired: Object) -> None:
    """Raise NameTaken or RetryLater if the live object is not the operator's to change."""
    owner, wanted = controller(live), controller(desired)
    title = f"{desired['kind']} {desired['metadata']['name']}"
    if owner and owner["uid"] != wanted.get("uid"):
        if (owner["kind"], owner["name"]) == (wanted.get("kind"), wanted.get("name")):
            raise RetryLater(f"{title} belongs to a former {owner['kind']} {owner['name']}; Kubernetes deletes it")
        raise NameTaken(f"{title} belongs to {owner['kind']} {owner['name']}; rename or delete it")
    if not owner and not _was_made_here(live):
        raise NameTaken(f"{title} exists and was not created by Sympozium; rename or delete it")


def _was_made_here(live: Object) -> bool:
    """Return whether an object that lost its owner bears the operator's mark: its label, or the digest of what it applied."""
    metadata = live["metadata"]
    marked = (metadata.get("labels") or {}).get(MANAGED_BY) == FIELD_MANAGER
    return marked or ANNOTATION_APPLIED in (metadata.get("annotations") or {})


def _name(body: Object) -> tuple[str, str]:
    return body["kind"], body["metadata"]["name"]


def _address(body: Object) -> tuple[ResourceType, str, str]:
    return _TYPES[body["kind"]], body["metadata"]["namespace"], body["metadata"]["name"]

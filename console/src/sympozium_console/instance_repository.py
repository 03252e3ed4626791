"""SympoziumInstances in the API server: reads, changes and deletions, and their web endpoints."""

from sympozium_api import effective
from sympozium_api.client import Client
from sympozium_api.client.collection import Collection
from sympozium_api.instance import SympoziumInstance, WebEndpointStatus
from sympozium_api.names import LABEL_DELETING
from sympozium_api.resources import INSTANCES, Object
from sympozium_api.web_endpoint_switch import switched
from sympozium_console import refusals
from sympozium_console.deletion_mark import deleting_since, marked
from sympozium_console.object_repository import ObjectRepository
from sympozium_console.preconditions import Precondition
from sympozium_domain.object_pages import ObjectPages, without_managed_fields


class InstanceRepository(ObjectRepository):
    """The instances of a cluster."""

    def __init__(self, client: Client, pages: ObjectPages) -> None:
        super().__init__(client, INSTANCES, "instance")
        self._pages = pages

    async def page(self, namespace: str | None, *, limit: int, after: str) -> Collection:
        """Return one page of instances, ordered by namespace and name."""
        return await self._pages.page(INSTANCES, namespace, limit=limit, after=after, view=without_managed_fields)

    async def page_in(self, namespace: str, limit: int, after: str) -> Collection:
        """Return one page of a namespace's instances, as ``page`` does."""
        return await self.page(namespace, limit=limit, after=after)

    def refuse_write(self, stored: Object | None, manifest: Object) -> None:
        """Raise Refusal 409 for an instance that is being deleted, 400 for one that would be deleted by this write."""
        if stored is not None and deleting_since(stored) is not None:
            raise refusals.conflict("the instance is being deleted", reason="InstanceDeleting")
        if LABEL_DELETING in (
            manifest["metadata"].get("labels") or {}
        ):  # it may take less right to update than to delete
            raise refusals.bad_field(f"metadata.labels[{LABEL_DELETING}]", "is set by DELETE alone; leave it out")

    async def delete(self, namespace: str, name: str, precondition: Precondition, *, dry_run: bool = False) -> None:
        """Delete an instance; Kubernetes deletes its dependents."""

        async def write(stored: Object | None) -> None:
            metadata = (stored or await self._client.get(INSTANCES, namespace, name))["metadata"]
            version = metadata["resourceVersion"] if precondition.tags else None
            await self._client.delete(INSTANCES, namespace, name, uid=metadata["uid"], version=version, dry_run=dry_run)

        await self._checked(namespace, name, precondition, write)

    async def mark_deleting(self, namespace: str, name: str, precondition: Precondition, now: float) -> Object:
        """Mark an instance as one that is being deleted since ``now``, in seconds since 1970, unless it is marked; return it."""

        async def write(stored: Object | None) -> Object:
            instance = stored or await self._client.get(INSTANCES, namespace, name)
            if deleting_since(instance) is not None:
                return instance
            patch = marked(now)
            if precondition.tags:
                patch["metadata"]["resourceVersion"] = instance["metadata"]["resourceVersion"]
            return await self._client.patch(INSTANCES, namespace, name, patch)

        return without_managed_fields(await self._checked(namespace, name, precondition, write))

    async def switch_web_endpoint(
        self,
        namespace: str,
        name: str,
        *,
        enabled: bool,
        values: Object,
        precondition: Precondition,
        dry_run: bool = False,
    ) -> Object:
        """Switch an instance's web endpoint on or off, with ``values`` as ``switched`` takes them; return the instance."""

        def change(instance: Object) -> Object:
            return {**instance, "spec": switched(instance["spec"], enabled=enabled, values=values)}

        return await self.change(namespace, name, change, precondition, dry_run=dry_run)


def web_endpoint_state(body: Object) -> Object:
    """Return an instance's web endpoint: the spec's ``enabled`` and the status that the operator reports."""
    instance = SympoziumInstance.model_validate(body)
    status = instance.status
    reported = status.web_endpoint or WebEndpointStatus()
    return {
        **reported.model_dump(by_alias=True),
        "enabled": effective.web_endpoint_is_on(instance),
        "phase": status.phase,
        "conditions": [condition.model_dump(by_alias=True) for condition in status.conditions],
    }

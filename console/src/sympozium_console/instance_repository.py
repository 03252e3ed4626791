"""SympoziumInstances in the API server: reads, replacements, patches and deletions.

Instances pass through unchanged, because the API server validates them.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sympozium_api import effective
from sympozium_api.client import ApiError, Client
from sympozium_api.client.rest import Collection
from sympozium_api.instance import SympoziumInstance, WebEndpointStatus
from sympozium_api.resources import INSTANCES, Object
from sympozium_console import refusals
from sympozium_console.deletion_mark import deleting_since, marked
from sympozium_console.object_pages import ObjectPages, without_managed_fields
from sympozium_console.preconditions import Precondition

_ATTEMPTS = 5
"""Tries of a write that meets others."""

Written = TypeVar("Written")


class InstanceRepository:
    """The instances of a cluster. Every method may raise ApiError, ApiUnavailable and Refusal."""

    def __init__(self, client: Client, pages: ObjectPages) -> None:
        self._client = client
        self._pages = pages

    async def page(self, namespace: str | None, *, limit: int, after: str) -> Collection:
        """Return one page of instances, ordered by namespace and name."""
        return await self._pages.page(INSTANCES, namespace, limit=limit, after=after, view=without_managed_fields)

    async def get(self, namespace: str, name: str) -> Object:
        """Return one instance."""
        return without_managed_fields(await self._client.get(INSTANCES, namespace, name))

    async def put(self, namespace: str, name: str, body: Object, precondition: Precondition) -> tuple[Object, bool]:
        """Create or replace an instance; return it, and whether it is new.

        ``metadata.resourceVersion`` in the body names the version to replace (409 if the stored one differs); the
        precondition names it too (412). Without either, the latest version is replaced.
        """
        manifest = _manifest(namespace, name, body)
        required = manifest["metadata"].get("resourceVersion")

        async def write(stored: Object | None) -> tuple[Object, bool]:
            if stored is not None and deleting_since(stored) is not None:
                raise refusals.conflict("the instance is being deleted", reason="InstanceDeleting")
            version = None if stored is None else stored["metadata"]["resourceVersion"]
            return await self._write(namespace, manifest, required or version, new=stored is None), stored is None

        return await self._checked(namespace, name, precondition, write, retries=not required)

    async def _checked(
        self,
        namespace: str,
        name: str,
        precondition: Precondition,
        write: Callable[[Object | None], Awaitable[Written]],
        *,
        retries: bool = True,
    ) -> Written:
        """Return what ``write`` makes of the stored object if this meets the precondition. Raises Refusal 412.

        A write that meets another one is repeated after another check: the operator's status reports must not fail it.
        """
        for _ in range(_ATTEMPTS if retries else 1):
            stored = await self._client.find(INSTANCES, namespace, name)
            precondition.check(stored)
            try:
                return await write(stored)
            except ApiError as error:
                if error.status != 409:
                    raise
                failure = error
        raise failure

    async def _write(self, namespace: str, manifest: Object, version: str | None, *, new: bool) -> Object:
        if not new:
            manifest = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}
            return without_managed_fields(await self._client.replace(INSTANCES, namespace, manifest, strict=True))
        if version:
            raise refusals.conflict("the instance no longer exists; omit metadata.resourceVersion to create it")
        return without_managed_fields(await self._client.create(INSTANCES, namespace, manifest, strict=True))

    async def patch(self, namespace: str, name: str, fields: Object, precondition: Precondition) -> Object:
        """Apply a JSON merge patch to the spec, given as ``{"spec": ...}`` or as the fields of the spec alone."""
        spec, required = _patch(namespace, name, fields)

        async def write(stored: Object | None) -> Object:
            version = stored["metadata"]["resourceVersion"] if stored and precondition.tags else None
            body = {"spec": spec} | (
                {"metadata": {"resourceVersion": required or version}} if required or version else {}
            )
            return without_managed_fields(await self._client.patch(INSTANCES, namespace, name, body, strict=True))

        if not precondition.is_set:
            return await write(None)
        return await self._checked(namespace, name, precondition, write, retries=not required)

    async def delete(self, namespace: str, name: str, precondition: Precondition) -> None:
        """Delete an instance; Kubernetes deletes its dependents."""

        async def write(stored: Object | None) -> None:
            metadata = (stored or await self._client.get(INSTANCES, namespace, name))["metadata"]
            version = metadata["resourceVersion"] if precondition.tags else None
            await self._client.delete(INSTANCES, namespace, name, uid=metadata["uid"], version=version)

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

    async def web_endpoint(self, namespace: str, name: str) -> Object:
        """Return an instance's web endpoint: the spec's ``enabled`` and the status that the operator reports."""
        instance = SympoziumInstance.model_validate(await self._client.get(INSTANCES, namespace, name))
        status = instance.status
        reported = status.web_endpoint or WebEndpointStatus()
        return {
            **reported.model_dump(by_alias=True),
            "enabled": effective.web_endpoint_is_on(instance),
            "phase": status.phase,
            "conditions": [condition.model_dump(by_alias=True) for condition in status.conditions],
        }


def _manifest(namespace: str, name: str, body: Object) -> Object:
    """Return the manifest of a body; the body may omit what the path says, and must not contradict it."""
    metadata = body.get("metadata", {})
    if not isinstance(metadata, dict):
        raise refusals.bad_field("metadata", "must be an object")
    for field, value in (("name", name), ("namespace", namespace)):
        if metadata.get(field, value) != value:
            raise refusals.bad_field(f"metadata.{field}", f"must be {value}, as in the request's URL")
    identity = {"apiVersion": INSTANCES.api_version, "kind": INSTANCES.kind}
    return {**identity, **body, "metadata": {**metadata, "name": name, "namespace": namespace}}


def _patch(namespace: str, name: str, body: Object) -> tuple[Object, str | None]:
    """Return the spec's fields of a patch, and the resource version that they need; None for any."""
    if "spec" not in body:
        spec, version = (
            {key: value for key, value in body.items() if key != "resourceVersion"},
            body.get("resourceVersion"),
        )
        field = "resourceVersion"
    else:
        manifest = _manifest(namespace, name, body)
        spec, metadata = manifest["spec"], manifest["metadata"]
        version, field = metadata.get("resourceVersion"), "metadata.resourceVersion"
        others = [key for key in body if key not in ("apiVersion", "kind", "metadata", "spec", "status")]
        others += [f"metadata.{key}" for key in metadata if key not in ("name", "namespace", "resourceVersion")]
        if others:
            raise refusals.bad_field(others[0], "a patch changes the spec only; leave this out, or use PUT")
        if not isinstance(spec, dict):
            raise refusals.bad_field("spec", "must be an object")
    if version is not None and not isinstance(version, str):
        raise refusals.bad_field(field, "must be a string")
    return spec, version

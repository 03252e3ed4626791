"""SympoziumInstances in the API server: reads, replacements, patches and deletions.

Instances pass through unchanged, because the API server validates them.
"""

from sympozium_api import effective
from sympozium_api.client import ApiError, Client
from sympozium_api.client.rest import Collection
from sympozium_api.instance import SympoziumInstance, WebEndpointStatus
from sympozium_api.resources import INSTANCES, Object
from sympozium_console import refusals
from sympozium_console.object_pages import ObjectPages, without_managed_fields
from sympozium_console.preconditions import Precondition

_ATTEMPTS = 5
"""Tries of a replacement without a version: the operator's status writes must not fail it."""


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
        attempt = 0
        while True:
            attempt += 1
            stored = await self._client.find(INSTANCES, namespace, name)
            version = None if stored is None else stored["metadata"]["resourceVersion"]
            precondition.check(version)
            try:
                instance = await self._write(namespace, manifest, required or version, new=stored is None)
            except ApiError as error:
                if error.status != 409 or required or attempt == _ATTEMPTS:
                    raise
            else:
                return instance, stored is None

    async def _write(self, namespace: str, manifest: Object, version: str | None, *, new: bool) -> Object:
        if not new:
            manifest = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}
            return without_managed_fields(await self._client.replace(INSTANCES, namespace, manifest, strict=True))
        if version:
            raise refusals.conflict("the instance no longer exists; omit metadata.resourceVersion to create it")
        return without_managed_fields(await self._client.create(INSTANCES, namespace, manifest, strict=True))

    async def patch(self, namespace: str, name: str, fields: Object, precondition: Precondition) -> Object:
        """Apply a JSON merge patch to the spec; ``resourceVersion`` in it names the version to change."""
        spec = {key: value for key, value in fields.items() if key != "resourceVersion"}
        version = fields.get("resourceVersion")
        if version is not None and not isinstance(version, str):
            raise refusals.bad_field("resourceVersion", "must be a string")
        return await self._patch(namespace, name, spec, version, precondition)

    async def _patch(
        self, namespace: str, name: str, spec: Object, version: str | None, precondition: Precondition
    ) -> Object:
        checked = await self._checked_version(namespace, name, precondition)
        body: Object = {"spec": spec}
        if required := version or checked:
            body["metadata"] = {"resourceVersion": required}
        try:
            return without_managed_fields(await self._client.patch(INSTANCES, namespace, name, body, strict=True))
        except ApiError as error:
            raise _as_failed_precondition(error, checked) from error

    async def delete(self, namespace: str, name: str, precondition: Precondition) -> None:
        """Delete an instance; Kubernetes deletes its dependents."""
        checked = await self._checked_version(namespace, name, precondition)
        stored = await self._client.get(INSTANCES, namespace, name)
        try:
            await self._client.delete(INSTANCES, namespace, name, uid=stored["metadata"]["uid"], version=checked)
        except ApiError as error:
            raise _as_failed_precondition(error, checked) from error

    async def _checked_version(self, namespace: str, name: str, precondition: Precondition) -> str | None:
        """Return the version that the write must still find, None for any; raise Refusal 412 if the precondition fails now."""
        if not precondition.is_set:
            return None
        stored = await self._client.find(INSTANCES, namespace, name)
        version = None if stored is None else stored["metadata"]["resourceVersion"]
        precondition.check(version)
        return version if precondition.versions else None

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


def _as_failed_precondition(error: ApiError, checked: str | None) -> Exception:
    """Return Refusal 412 for a conflict with the version that If-Match names, any other error as it is."""
    if error.status == 409 and checked is not None:
        return refusals.precondition_failed(f"If-Match: {error.message}")
    return error


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

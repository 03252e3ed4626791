"""SympoziumInstances: read, made, replaced, patched, deleted. They pass through as they are; the API server checks them."""

from sympozium_api import effective
from sympozium_api.client import ApiError, Client
from sympozium_api.client.rest import Collection
from sympozium_api.instance import SympoziumInstance, WebEndpointStatus
from sympozium_api.resources import INSTANCES, Object
from sympozium_console import errors
from sympozium_console.listing import Listing, plain
from sympozium_console.preconditions import Precondition

_ATTEMPTS = 5
"""The operator writes an instance's status now and then: a caller without a version of its own should not notice."""


class Instances:
    """The instances of a cluster. Every method may raise ApiError, ApiUnavailable and Refusal."""

    def __init__(self, client: Client, listing: Listing) -> None:
        self._client = client
        self._listing = listing

    async def page(self, namespace: str | None, *, limit: int, after: str) -> Collection:
        """Some of them, by namespace and name."""
        return await self._listing.page(INSTANCES, namespace, limit=limit, after=after, shown=plain)

    async def get(self, namespace: str, name: str) -> Object:
        """One of them."""
        return plain(await self._client.get(INSTANCES, namespace, name))

    async def put(self, namespace: str, name: str, body: Object, precondition: Precondition) -> tuple[Object, bool]:
        """Make an instance, or put another in its place; with it, whether it is new.

        The version that it replaces is ``metadata.resourceVersion`` of the body (409 when it is another), or what the
        precondition asks for (412); else the last one.
        """
        manifest = _manifest(namespace, name, body)
        named = manifest["metadata"].get("resourceVersion")
        attempt = 0
        while True:
            attempt += 1
            there = await self._client.find(INSTANCES, namespace, name)
            version = None if there is None else there["metadata"]["resourceVersion"]
            precondition.check(version)
            try:
                return await self._write(namespace, manifest, named or version, new=there is None), there is None
            except ApiError as error:
                if error.status != 409 or named or attempt == _ATTEMPTS:
                    raise

    async def _write(self, namespace: str, manifest: Object, version: str | None, *, new: bool) -> Object:
        if not new:
            manifest = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}
            return plain(await self._client.replace(INSTANCES, namespace, manifest, strict=True))
        if version:
            raise errors.conflict("it does not exist any more; leave metadata.resourceVersion out to make it anew")
        return plain(await self._client.create(INSTANCES, namespace, manifest, strict=True))

    async def patch(self, namespace: str, name: str, fields: Object, precondition: Precondition) -> Object:
        """Change fields of the spec (a JSON merge patch); ``resourceVersion`` among them is the version that is changed."""
        spec = {key: value for key, value in fields.items() if key != "resourceVersion"}
        version = fields.get("resourceVersion")
        if version is not None and not isinstance(version, str):
            raise errors.bad_field("resourceVersion", "must be a string")
        return await self._patch(namespace, name, spec, version, precondition)

    async def _patch(
        self, namespace: str, name: str, spec: Object, version: str | None, precondition: Precondition
    ) -> Object:
        checked = await self._checked(namespace, name, precondition)
        body: Object = {"spec": spec}
        if wanted := version or checked:
            body["metadata"] = {"resourceVersion": wanted}
        try:
            return plain(await self._client.patch(INSTANCES, namespace, name, body, strict=True))
        except ApiError as error:
            raise _lost(error, checked) from error

    async def delete(self, namespace: str, name: str, precondition: Precondition) -> None:
        """Delete an instance; what belongs to it goes with it."""
        checked = await self._checked(namespace, name, precondition)
        there = await self._client.get(INSTANCES, namespace, name)
        try:
            await self._client.delete(INSTANCES, namespace, name, uid=there["metadata"]["uid"], version=checked)
        except ApiError as error:
            raise _lost(error, checked) from error

    async def _checked(self, namespace: str, name: str, precondition: Precondition) -> str | None:
        """The version that has to be there still when it is changed; None: any. Raises Refusal 412 when it is not there now."""
        if not precondition.asked:
            return None
        there = await self._client.find(INSTANCES, namespace, name)
        version = None if there is None else there["metadata"]["resourceVersion"]
        precondition.check(version)
        return version if precondition.versions else None

    async def web_endpoint(self, namespace: str, name: str) -> Object:
        """The HTTP API of an instance: whether it is asked for, and what the operator reports of it."""
        instance = SympoziumInstance.model_validate(await self._client.get(INSTANCES, namespace, name))
        status = instance.status
        reported = status.web_endpoint or WebEndpointStatus()
        return {
            **reported.model_dump(by_alias=True),
            "enabled": effective.web_endpoint_is_on(instance),
            "phase": status.phase,
            "conditions": [condition.model_dump(by_alias=True) for condition in status.conditions],
        }


def _lost(error: ApiError, checked: str | None) -> Exception:
    """A conflict with a version that If-Match has named is a failed precondition."""
    if error.status == 409 and checked is not None:
        return errors.precondition_failed(f"If-Match: {error.message}")
    return error


def _manifest(namespace: str, name: str, body: Object) -> Object:
    """The object that a body stands for; what the path says need not be repeated, and must not be contradicted."""
    metadata = body.get("metadata", {})
    if not isinstance(metadata, dict):
        raise errors.bad_field("metadata", "must be an object")
    for field, value in (("name", name), ("namespace", namespace)):
        if metadata.get(field, value) != value:
            raise errors.bad_field(f"metadata.{field}", f"must be {value}, as the address of the request has it")
    about = {"apiVersion": INSTANCES.api_version, "kind": INSTANCES.kind}
    return {**about, **body, "metadata": {**metadata, "name": name, "namespace": namespace}}

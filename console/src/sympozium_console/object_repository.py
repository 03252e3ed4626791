"""Objects of one kind in the API server: reads, replacements and patches.

Objects pass through unchanged, because the API server validates them.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sympozium_api.client import ApiError, Client, ResourceType
from sympozium_api.resources import Object
from sympozium_console import refusals
from sympozium_console.preconditions import Precondition
from sympozium_domain.object_pages import without_managed_fields

_ATTEMPTS = 5
"""Tries of a write that meets others."""

Written = TypeVar("Written")


class ObjectRepository:
    """The objects of one kind. Every method may raise ApiError, ApiUnavailable and Refusal.

    ``noun`` is the kind's name in sentences, such as ``instance``. With ``dry_run`` a write is only tried: it is answered, or refused,
    as if it were made.
    """

    def __init__(self, client: Client, kind: ResourceType, noun: str) -> None:
        self._client = client
        self._kind = kind
        self._noun = noun

    async def get(self, namespace: str, name: str) -> Object:
        """Return one object."""
        return without_managed_fields(await self._client.get(self._kind, namespace, name))

    async def put(
        self, namespace: str, name: str, body: Object, precondition: Precondition, *, dry_run: bool = False
    ) -> tuple[Object, bool]:
        """Create or replace an object; return it, and whether it is new.

        ``metadata.resourceVersion`` in the body names the version to replace (409 if the stored one differs); the
        precondition names it too (412). Without either, the latest version is replaced.
        """
        manifest = self._manifest(namespace, name, body)
        required = manifest["metadata"].get("resourceVersion")

        async def write(stored: Object | None) -> tuple[Object, bool]:
            self.refuse_write(stored, manifest)
            version = None if stored is None else stored["metadata"]["resourceVersion"]
            if stored is None:
                return await self._create(namespace, manifest, required, dry_run=dry_run), True
            return await self._replace(namespace, manifest, required or version, dry_run=dry_run), False

        return await self._checked(namespace, name, precondition, write, retries=not required)

    async def change(
        self,
        namespace: str,
        name: str,
        changed: Callable[[Object], Object],
        precondition: Precondition,
        *,
        dry_run: bool = False,
    ) -> Object:
        """Replace an object by what ``changed`` makes of it, and return the new one; if that is the same, nothing is written."""

        async def write(stored: Object | None) -> Object:
            body = stored or await self._client.get(self._kind, namespace, name)
            manifest = changed(body)
            self.refuse_write(body, manifest)
            if manifest == body:
                return without_managed_fields(body)
            return await self._replace(namespace, manifest, body["metadata"]["resourceVersion"], dry_run=dry_run)

        return await self._checked(namespace, name, precondition, write)

    async def patch(
        self, namespace: str, name: str, fields: Object, precondition: Precondition, *, dry_run: bool = False
    ) -> Object:
        """Apply a JSON merge patch to the spec, given as ``{"spec": ...}`` or as the fields of the spec alone."""
        spec, required = self._patch(namespace, name, fields)

        async def write(stored: Object | None) -> Object:
            version = stored["metadata"]["resourceVersion"] if stored and precondition.tags else None
            body = {"spec": spec} | (
                {"metadata": {"resourceVersion": required or version}} if required or version else {}
            )
            return without_managed_fields(
                await self._client.patch(self._kind, namespace, name, body, strict=True, dry_run=dry_run)
            )

        if not precondition.is_set:
            return await write(None)
        return await self._checked(namespace, name, precondition, write, retries=not required)

    def refuse_write(self, stored: Object | None, manifest: Object) -> None:
        """Raise Refusal if a stored object may not be replaced by this one; None stands for no object."""

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
            stored = await self._client.find(self._kind, namespace, name)
            precondition.check(stored)
            try:
                return await write(stored)
            except ApiError as error:
                if error.status != 409:
                    raise
                failure = error
        raise failure

    async def _create(self, namespace: str, manifest: Object, version: str | None, *, dry_run: bool) -> Object:
        if version:
            raise refusals.conflict(f"the {self._noun} no longer exists; omit metadata.resourceVersion to create it")
        created = await self._client.create(self._kind, namespace, manifest, strict=True, dry_run=dry_run)
        return without_managed_fields(created)

    async def _replace(self, namespace: str, manifest: Object, version: str | None, *, dry_run: bool) -> Object:
        manifest = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}
        replaced = await self._client.replace(self._kind, namespace, manifest, strict=True, dry_run=dry_run)
        return without_managed_fields(replaced)

    def _manifest(self, namespace: str, name: str, body: Object) -> Object:
        """Return the manifest of a body; the body may omit what the path says, and must not contradict it."""
        metadata = body.get("metadata", {})
        if not isinstance(metadata, dict):
            raise refusals.bad_field("metadata", "must be an object")
        for field, value in (("name", name), ("namespace", namespace)):
            if metadata.get(field, value) != value:
                raise refusals.bad_field(f"metadata.{field}", f"must be {value}, as in the request's URL")
        identity = {"apiVersion": self._kind.api_version, "kind": self._kind.kind}
        return {**identity, **body, "metadata": {**metadata, "name": name, "namespace": namespace}}

    def _patch(self, namespace: str, name: str, body: Object) -> tuple[Object, str | None]:
        """Return the spec's fields of a patch, and the resource version that they need; None for any."""
        if "spec" not in body:
            spec, version = (
                {key: value for key, value in body.items() if key != "resourceVersion"},
                body.get("resourceVersion"),
            )
            field = "resourceVersion"
        else:
            manifest = self._manifest(namespace, name, body)
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

"""Calls that read and write objects: one method per verb, plain dicts in and out."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL

from sympozium_api.client.api_errors import ApiError, ApiUnavailable
from sympozium_api.client.auth import ApiConnection
from sympozium_api.client.collection import JSON, METADATA_ONLY, Collection, CollectionTooLarge, Reading
from sympozium_api.client.responses import parse_response
from sympozium_api.client.tables import TABLE, TableReader, metadata_of
from sympozium_api.resources import Object, ResourceType

_TIMEOUT = aiohttp.ClientTimeout(total=10)
"""Calls take milliseconds; a longer wait is for a server that hangs, while a caller waits for this process."""
_LIST_TIMEOUT = aiohttp.ClientTimeout(total=60)
_PAGE = 500
"""Number of objects whose metadata is read in one page."""
PAGE_BYTES = 5 * 1024 * 1024
"""Bytes of a page above which smaller pages are read: one object may hold 1.5 MB, and in its annotations alone 256 KiB."""
_MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"
_ONE_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


_WHOLE = Reading()


class Client:
    """Client of one API server. Every method raises ApiError if the API server refuses and ApiUnavailable if it cannot answer."""

    def __init__(self, connection: ApiConnection, session: aiohttp.ClientSession) -> None:
        self._connection = connection
        self._session = session

    @classmethod
    @asynccontextmanager
    async def connect(cls, connection: ApiConnection) -> AsyncIterator["Client"]:
        """Open a client with a connection pool of its own."""
        async with aiohttp.ClientSession(connector=connection.connector(), proxy=connection.proxy) as session:
            yield cls(connection, session)

    async def get(self, kind: ResourceType, namespace: str, name: str) -> Object:
        """Read an object."""
        return await self._call("GET", kind.path(namespace, name))

    async def find(self, kind: ResourceType, namespace: str, name: str) -> Object | None:
        """Read an object; None if it does not exist."""
        try:
            return await self.get(kind, namespace, name)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def find_metadata(self, kind: ResourceType, namespace: str | None, name: str) -> Object | None:
        """Read only the ``metadata`` of an object, whose content this process need not know; None if it does not exist.

        ``namespace`` is None for an object of the cluster.
        """
        try:
            return await self._call("GET", kind.path(namespace, name), accept=_ONE_METADATA)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def metadata(self, kind: ResourceType, namespace: str | None, **selectors: str) -> list[Object]:
        """Read only the ``metadata`` of all objects of a kind, because a single run may hold a megabyte.

        The list comes in pages and without ``managedFields``, which for 20,000 runs would be another 100 MB for a moment. Raises
        ApiError 410 if the pages take so long that the API server no longer has the first one's version.
        """
        pages = self._each_page(kind, namespace, selectors, METADATA_ONLY)
        return [metadata_of(item) async for page in pages for item in page["items"] or []]

    async def rows(self, kind: ResourceType, namespace: str | None, **selectors: str) -> list[Object]:
        """Read of all objects of a kind the ``metadata``, and as ``columns`` the values by title that ``kubectl get -o wide`` shows.

        In pages, as ``metadata`` does. A column that the cluster's CRD does not have is absent.
        """
        tables = TableReader()
        pages = self._each_page(kind, namespace, selectors, TABLE)
        return [row async for page in pages for row in tables.rows(page)]

    async def _each_page(
        self, kind: ResourceType, namespace: str | None, selectors: Mapping[str, str], accept: str
    ) -> AsyncIterator[Object]:
        after, limit = dict[str, str](), _PAGE
        while True:
            params, most = {**selectors, "limit": str(limit), **after}, PAGE_BYTES if limit > 1 else None
            try:
                page = await self._call(
                    "GET", kind.path(namespace), params=params, accept=accept, timeout=_LIST_TIMEOUT, max_bytes=most
                )
            except CollectionTooLarge:
                limit = max(1, limit // 5)
                continue
            yield page
            if not (token := page["metadata"].get("continue")):
                return
            after = {"continue": token}

    async def list(self, kind: ResourceType, namespace: str | None, **selectors: str) -> list[Object]:
        """Read all objects of a kind, by ``labelSelector`` and ``fieldSelector``; namespace None: all namespaces."""
        return (await self.collection(kind, namespace, **selectors)).items

    async def collection(
        self,
        kind: ResourceType,
        namespace: str | None,
        reading: Reading = _WHOLE,
        /,
        **selectors: str,
    ) -> Collection:
        """Read all objects of a kind, with the version from which a watch continues. Raises CollectionTooLarge."""
        page = await self._call(
            "GET",
            kind.path(namespace),
            params=selectors,
            accept=reading.media_type,
            timeout=_LIST_TIMEOUT,
            max_bytes=reading.max_bytes,
        )
        type_fields = {"apiVersion": kind.api_version, "kind": kind.kind}  # a list's items come without them
        items = TableReader().rows(page) if reading.as_table else [type_fields | item for item in page["items"] or []]
        return Collection(
            items=items,
            resource_version=page["metadata"]["resourceVersion"],
            next_page=page["metadata"].get("continue") or "",
            remaining=page["metadata"].get("remainingItemCount"),
        )

    async def page(
        self,
        kind: ResourceType,
        namespace: str | None,
        reading: Reading = _WHOLE,
        /,
        *,
        limit: int,
        after: str,
        **selectors: str,
    ) -> Collection:
        """Read at most ``limit`` objects, by namespace and name, after the page whose ``next_page`` is ``after``.

        Raises ApiError 410 if that page is too old to be continued, and CollectionTooLarge.
        """
        position = {"limit": str(limit)} | ({"continue": after} if after else {})
        return await self.collection(kind, namespace, reading, **position, **selectors)

    async def create(
        self,
        kind: ResourceType,
        namespace: str,
        body: Object,
        *,
        strict: bool = False,
        dry_run: bool = False,
        metadata_only: bool = False,
    ) -> Object:
        """Create an object, or with ``dry_run`` only try it, and return it, or its ``metadata`` alone.

        Raises ApiError.already_exists if its name is taken, and 400 for an unknown field if ``strict``.
        """
        return await self._call(
            "POST",
            kind.path(namespace),
            body=body,
            params=_write_options(strict=strict, dry_run=dry_run),
            accept=_ONE_METADATA if metadata_only else JSON,
        )

    async def review(self, kind: ResourceType, body: Object) -> Object:
        """Ask the API server with an object that nothing stores, and return it with the answer."""
        return await self._call("POST", kind.path(None), body=body)

    async def apply(self, kind: ResourceType, namespace: str, body: Object, *, field_manager: str) -> Object:
        """Apply (server-side): create the object, or set the fields of ``body`` on it, even if other managers own them."""
        return await self._call(
            "PATCH",
            kind.path(namespace, body["metadata"]["name"]),
            body=body,
            content_type=_APPLY_PATCH,
            params={"fieldManager": field_manager, "force": "true"},
        )

    async def patch(
        self,
        kind: ResourceType,
        namespace: str,
        name: str,
        body: Object,
        *,
        subresource: str | None = None,
        strict: bool = False,
        dry_run: bool = False,
        metadata_only: bool = False,
    ) -> Object:
        """Apply a JSON merge patch (RFC 7386) to an object or its subresource, and return the object, or its ``metadata`` alone.

        With ``dry_run`` the patch is only tried. Raises ApiError 400 for an unknown field if ``strict``.
        """
        return await self._call(
            "PATCH",
            kind.path(namespace, name, subresource),
            body=body,
            content_type=_MERGE_PATCH,
            params=_write_options(strict=strict, dry_run=dry_run),
            accept=_ONE_METADATA if metadata_only else JSON,
        )

    async def replace(
        self, kind: ResourceType, namespace: str, body: Object, *, strict: bool = False, dry_run: bool = False
    ) -> Object:
        """Replace the version of an object from which ``body`` was made, or with ``dry_run`` only try it.

        Raises ApiError 409 if the object has changed, and 400 for an unknown field if ``strict``.
        """
        path = kind.path(namespace, body["metadata"]["name"])
        return await self._call("PUT", path, body=body, params=_write_options(strict=strict, dry_run=dry_run))

    async def delete(
        self,
        kind: ResourceType,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
        dry_run: bool = False,
    ) -> None:
        """Delete an object, and its children in the background. An object that does not exist, or not with this ``uid``, is no error.

        With ``dry_run`` the deletion is only tried. Raises ApiError 409 if the object is no longer of resource version ``version``.
        """
        conditions = {"uid": uid, "resourceVersion": version}
        options: Object = {
            "propagationPolicy": "Background",
            "preconditions": {key: value for key, value in conditions.items() if value is not None},
        }
        try:
            await self._call("DELETE", kind.path(namespace, name), body=options, params=_write_options(dry_run=dry_run))
        except ApiError as error:
            if not error.not_found and not (uid is not None and version is None and error.status == 409):
                raise

    async def raw(self, path: str) -> Object:
        """Read a document of the API server that is not an object, e.g. ``/openid/v1/jwks``."""
        return await self._call("GET", path, accept="*/*")

    async def answers(self) -> bool:
        """Return true if the API server answers."""
        try:
            await self.raw("/version")
        except (ApiError, ApiUnavailable):
            return False
        return True

    def stream(self, path: str, params: Mapping[str, str], *, silence: float, accept: str = JSON) -> Any:
        """Open a GET whose lines are read as they arrive; reading fails after ``silence`` seconds without a byte."""
        return self._session.get(
            URL(self._connection.url + path, encoded=True),
            params=params,
            headers=self._connection.headers() | {"Accept": accept},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence),
            server_hostname=self._connection.server_hostname,
        )

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        params: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,  # noqa: ASYNC109 - aiohttp's own, with its parts
        max_bytes: int | None = None,
    ) -> Object:
        headers = self._connection.headers() | {"Content-Type": content_type, "Accept": accept}
        try:
            async with self._session.request(
                method,
                URL(self._connection.url + path, encoded=True),
                params=params,
                data=None if body is None else _encoded(body),
                headers=headers,
                timeout=timeout,
                server_hostname=self._connection.server_hostname,
            ) as response:
                content = await (response.read() if max_bytes is None else _read(response, max_bytes))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(f"{method} {path}: {error or type(error).__name__}") from error
        return parse_response(response.status, content, is_read=method == "GET")


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > max_bytes:
            raise CollectionTooLarge
    return bytes(content)


def _write_options(*, strict: bool = False, dry_run: bool = False) -> dict[str, str]:
    return ({"fieldValidation": "Strict"} if strict else {}) | ({"dryRun": "All"} if dry_run else {})


def _encoded(body: Object) -> bytes:
    """Encode an object. Half a surrogate pair, which a model may write, has no encoding in UTF-8: it becomes a question mark."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")

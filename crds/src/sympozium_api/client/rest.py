"""Read and write objects: one method per verb, plain dicts in and out."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from sympozium_api.client.api_errors import ApiError, ApiUnavailable
from sympozium_api.client.auth import ApiConnection
from sympozium_api.resources import Object, ResourceType

_TIMEOUT = aiohttp.ClientTimeout(total=10)
"""Calls take milliseconds: who waits longer waits for a server that hangs, and somebody waits for us."""
_LIST_TIMEOUT = aiohttp.ClientTimeout(total=60)
_UNAVAILABLE = (401, 429, 500, 502, 503, 504)
"""401 too: it is about our own token, which is to be renewed, or whose pod was deleted and is about to end."""
_PAGE = "500"
"""Objects of which the metadata is read at once."""
_MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True)
class Collection:
    """What a list answered."""

    items: list[Object]
    resource_version: str
    next_page: str = ""
    """Where the next page begins; empty: there is none."""
    remaining: int | None = None
    """How many objects come after this page, where the API server knows."""


class Client:
    """Calls of one API server. Every method raises ApiError when it refuses and ApiUnavailable when it cannot answer."""

    def __init__(self, connection: ApiConnection, session: aiohttp.ClientSession) -> None:
        self._connection = connection
        self._session = session

    @classmethod
    @asynccontextmanager
    async def connect(cls, connection: ApiConnection) -> AsyncIterator["Client"]:
        """A client with a connection pool of its own."""
        connector = aiohttp.TCPConnector(ssl=connection.ssl, limit=100, keepalive_timeout=60)
        async with aiohttp.ClientSession(connector=connector, proxy=connection.proxy) as session:
            yield cls(connection, session)

    async def get(self, kind: ResourceType, namespace: str, name: str) -> Object:
        """An object as it is now."""
        return await self._call("GET", kind.path(namespace, name))

    async def find(self, kind: ResourceType, namespace: str, name: str) -> Object | None:
        """An object as it is now, or None where there is none."""
        try:
            return await self.get(kind, namespace, name)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def metadata(self, kind: ResourceType, namespace: str | None, **selectors: str) -> list[Object]:
        """The ``metadata`` of all objects of a kind, without what is in them: a run alone may hold a megabyte.

        In pages and without ``managedFields``: of 20,000 runs the rest would be 100 MB more for a moment. ApiError 410 when the
        pages come so slowly that the API server has forgotten the first one's moment.
        """
        found, place = list[Object](), {"limit": _PAGE}
        while True:
            page = await self._call(
                "GET", kind.path(namespace), params=selectors | place, accept=_METADATA_ONLY, timeout=_LIST_TIMEOUT
            )
            for item in page["items"] or []:
                item["metadata"].pop("managedFields", None)
                found.append({"metadata": item["metadata"]})
            if not (after := page["metadata"].get("continue")):
                return found
            place = {"limit": _PAGE, "continue": after}

    async def list(self, kind: ResourceType, namespace: str | None, **selectors: str) -> list[Object]:
        """All objects of a kind, by ``labelSelector`` and ``fieldSelector``; namespace None: of all namespaces."""
        return (await self.collection(kind, namespace, **selectors)).items

    async def collection(self, kind: ResourceType, namespace: str | None, **selectors: str) -> Collection:
        """The same with the version from which a watch goes on."""
        found = await self._call("GET", kind.path(namespace), params=selectors, timeout=_LIST_TIMEOUT)
        own_kind = {"apiVersion": kind.api_version, "kind": kind.kind}  # lists leave it out of their items
        return Collection(
            items=[own_kind | item for item in found["items"] or []],
            resource_version=found["metadata"]["resourceVersion"],
            next_page=found["metadata"].get("continue") or "",
            remaining=found["metadata"].get("remainingItemCount"),
        )

    async def page(
        self, kind: ResourceType, namespace: str | None, *, limit: int, after: str, **selectors: str
    ) -> Collection:
        """At most ``limit`` objects, by namespace and name, from where the page ended whose ``next_page`` is ``after``.

        ApiError 410 when that page is too old to be continued.
        """
        place = {"limit": str(limit)} | ({"continue": after} if after else {})
        return await self.collection(kind, namespace, **place, **selectors)

    async def create(self, kind: ResourceType, namespace: str, body: Object, *, strict: bool = False) -> Object:
        """Make an object; ApiError.already_exists when its name is taken, 400 for an unknown field when ``strict``."""
        return await self._call("POST", kind.path(namespace), body=body, params=_validation(strict=strict))

    async def apply(self, kind: ResourceType, namespace: str, body: Object, *, field_manager: str) -> Object:
        """Server-side apply: make the object, or make it have the fields of ``body``; other managers' claims give way."""
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
    ) -> Object:
        """JSON merge patch (RFC 7386) of an object or its subresource; ApiError 400 for an unknown field when ``strict``."""
        return await self._call(
            "PATCH",
            kind.path(namespace, name, subresource),
            body=body,
            content_type=_MERGE_PATCH,
            params=_validation(strict=strict),
        )

    async def replace(self, kind: ResourceType, namespace: str, body: Object, *, strict: bool = False) -> Object:
        """Put an object in the place of the version that ``body`` was read as; ApiError 409 when it has changed,
        400 for an unknown field when ``strict``.
        """
        path = kind.path(namespace, body["metadata"]["name"])
        return await self._call("PUT", path, body=body, params=_validation(strict=strict))

    async def delete(
        self, kind: ResourceType, namespace: str, name: str, *, uid: str | None = None, version: str | None = None
    ) -> None:
        """Delete an object, what it owns in the background; one that is gone, or another of that name than ``uid``, is no error.

        ApiError 409 when it is not the resource version ``version`` any more.
        """
        conditions = {"uid": uid, "resourceVersion": version}
        options: Object = {
            "propagationPolicy": "Background",
            "preconditions": {key: value for key, value in conditions.items() if value is not None},
        }
        try:
            await self._call("DELETE", kind.path(namespace, name), body=options)
        except ApiError as error:
            if not error.not_found and not (uid is not None and version is None and error.status == 409):
                raise

    async def raw(self, path: str) -> Object:
        """A document of the API server that is no object, e.g. ``/openid/v1/jwks``."""
        return await self._call("GET", path, accept="*/*")

    async def answers(self) -> bool:
        """Whether the API server can be reached."""
        try:
            await self.raw("/version")
        except (ApiError, ApiUnavailable):
            return False
        return True

    def stream(self, path: str, params: Mapping[str, str], *, silence: float) -> Any:
        """An open GET whose lines are read as they come; it fails after ``silence`` seconds without a byte."""
        return self._session.get(
            self._connection.url + path,
            params=params,
            headers=self._connection.headers(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence),
            server_hostname=self._connection.server_hostname,
        )

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        params: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,  # noqa: ASYNC109 - aiohttp's own, with its parts
    ) -> Object:
        headers = self._connection.headers() | {"Content-Type": content_type, "Accept": accept}
        data = None if body is None else _encoded(body)
        try:
            async with self._session.request(
                method,
                self._connection.url + path,
                params=params,
                data=data,
                headers=headers,
                timeout=timeout,
                server_hostname=self._connection.server_hostname,
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(f"{method} {path}: {error or type(error).__name__}") from error
        return answer(response.status, content)


def _validation(*, strict: bool) -> dict[str, str]:
    return {"fieldValidation": "Strict"} if strict else {}


def _encoded(body: Object) -> bytes:
    """Half a surrogate pair, which a model may write, has no bytes in UTF-8: it becomes a question mark."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def answer(status: int, content: bytes) -> Object:
    """The object in a response of the API server; raises what its status means."""
    if status < 400:
        found: Object = json.loads(content)
        return found
    try:
        body = json.loads(content)
    except ValueError:
        body = {"message": content[:500].decode(errors="replace")}
    if not isinstance(body, dict):
        body = {"message": str(body)[:500]}
    refusal = ApiError(status, body)
    if status in _UNAVAILABLE and not refusal.too_large:
        raise ApiUnavailable(str(refusal)) from refusal
    raise refusal

"""An API server in memory that stands in for ``sympozium_api.client.Client``.

tests/e2e/test_api_server_conformance.py holds it against a real one: uids, versions and generations, 404 and 409, preconditions, the
status subresource, merge patches, server-side apply with field managers, selectors, pages, watches, owner-reference cascade,
and for our own kinds the schemas and CEL rules of the CRDs. It differs in these: a list is one field to apply, namespaces
exist unasked, and what belongs to Kubernetes' own kinds is neither checked nor defaulted.
``writes`` is the audit log; ``refuse`` and ``meanwhile`` make calls fail or race.
"""

import copy
import dataclasses
import itertools
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from uuid import UUID

from tests.fakes import crd_admission, open_watches, tables
from tests.fakes.field_managers import FieldManagers, merged
from tests.fakes.open_watches import OpenWatch, StoredChange, WatchResponse
from tests.fakes.selection import fields, is_selected
from tests.fakes.stored_objects import Key, StoredObjects

from sympozium_api import resources as kinds
from sympozium_api.client import ApiError, ApiUnavailable, Client, ResourceType
from sympozium_api.client.collection import Collection, CollectionTooLarge, Reading
from sympozium_api.client.tables import TableReader
from sympozium_api.resources import Object

WITH_STATUS = frozenset(
    {
        "sympoziuminstances",
        "agentruns",
        "skillpacks",
        "tools",
        "toolbindings",
        "sympoziumpolicies",
        "sympoziumconfigs",
        "jobs",
        "deployments",
        "pods",
        "gateways",
        "httproutes",
    }
)
_REMEMBERED = 1000
"""Changes from which a watch can still be resumed; one that begins further back is expired."""
_LARGEST_WHOLE = 1e21
"""Smallest number that Go writes with an exponent."""
_SELECTABLE = {
    "events": {
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "reason",
        "type",
    },
    "pods": {"status.phase", "spec.nodeName"},
}
"""Fields of Kubernetes' own kinds that can be selected by, as far as they are."""
KINDS = tuple(kind for kind in vars(kinds).values() if isinstance(kind, ResourceType))


def api_error(status: int, reason: str, message: str = "", *, field: str | None = None) -> ApiError:
    """Return the refusal that the API server answers with this status; ``field`` is the one that is wrong."""
    causes = [{"reason": "FieldValueInvalid", "field": field, "message": message}] if field else []
    return ApiError(status, {"reason": reason, "message": message or reason, "details": {"causes": causes}})


class FakeKubernetes(Client):
    """The client and, behind it, the store."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = now
        self.objects = StoredObjects()
        self.documents: dict[str, Object] = {}
        self.logs: dict[str, str | WatchResponse] = {}
        """Logs of pods, by the pod's name: the whole text of one that has ended, or a response that goes on."""
        self.reads: list[tuple[str, str, str]] = []
        self.writes: list[tuple[str, str, str]] = []
        """Verb, plural (with its subresource) and name of every write that was accepted and changed something."""
        self.grants: set[tuple[str, str, str, str]] = set()
        """Rights of users and groups, for LocalSubjectAccessReviews: user or group, verb, plural and namespace."""
        self.reviews: list[tuple[str, str, str, str]] = []
        """User, verb, plural and namespace of every LocalSubjectAccessReview."""
        self.absent: set[ResourceType] = set()
        """Kinds whose CRD is not installed."""
        self.is_away = False
        """True: no call is answered, and no watch begins. ``end_watches`` ends those that are open."""
        self._refusals: dict[tuple[str, str], list[Exception]] = defaultdict(list)
        self._hooks: dict[tuple[str, str], list[Callable[[], Any]]] = defaultdict(list)
        self._watches: list[OpenWatch] = []
        self._changes: deque[StoredChange] = deque(maxlen=_REMEMBERED)
        self._versions = itertools.count(1)
        self._born: dict[Key, int] = {}
        """Versions in which the objects were created."""
        self._managers: dict[Key, FieldManagers] = {}
        self._pages: dict[str, list[Object]] = {}
        """Rest of a list, by the ``continue`` token that leads to it."""
        self._forgotten = 0
        """Version up to which no watch can be resumed."""

    # What a test arranges and looks at.

    def put(self, body: Object) -> Object:
        """An object as if somebody else had made or changed it, status included."""
        plural = next(kind.plural for kind in KINDS if kind.kind == body["kind"])
        key = (plural, body["metadata"].setdefault("namespace", "default"), body["metadata"]["name"])
        found = merged(self.objects.get(key, {}), body)
        return self._store(key, crd_admission.stored(plural, found) if crd_admission.is_custom(plural) else found)

    def object(self, kind: ResourceType, name: str, namespace: str = "default") -> Object:
        """An object as stored; KeyError where there is none."""
        return self.objects[kind.plural, namespace, name]

    def names(self, kind: ResourceType) -> list[str]:
        """Names of all objects of a kind."""
        return [name for _, _, name in self.objects.by_plural[kind.plural]]

    def watches_open(self, kind: ResourceType) -> int:
        """Number of open watches of a kind."""
        return sum(watch.plural == kind.plural for watch in self._watches)

    def refuse(self, verb: str, kind: ResourceType, *errors: Exception) -> None:
        """Let the next calls of this verb and kind fail."""
        self._refusals[verb, kind.plural].extend(errors)

    def meanwhile(self, verb: str, kind: ResourceType, happens: Callable[[], Any]) -> None:
        """Let something happen just before the next call of this verb and kind."""
        self._hooks[verb, kind.plural].append(happens)

    # The Client's methods.

    async def get(self, kind: ResourceType, namespace: str, name: str) -> Object:
        self._enter("get", kind, name)
        return copy.deepcopy(self._existing(kind, namespace, name))

    async def collection(
        self,
        kind: ResourceType,
        namespace: str | None,
        reading: Reading = Reading(),  # noqa: B008 - it is frozen
        /,
        **selectors: str,
    ) -> Collection:
        page = self._collection(kind, namespace, reading, selectors)
        if reading.as_table:
            return dataclasses.replace(page, items=TableReader().rows(tables.of_collection(kind.plural, page)))
        return page

    def _collection(
        self, kind: ResourceType, namespace: str | None, reading: Reading, selectors: Mapping[str, str]
    ) -> Collection:
        self._enter("list", kind, "")
        _refuse_fields(kind, selectors)
        version = str(next(self._versions))
        token = selectors.get("continue")
        items = self._rest(token) if token else self._selected(kind, namespace, selectors)
        if reading.metadata_only:
            items = [{"metadata": item["metadata"]} for item in items]
        if "limit" not in selectors:
            return Collection(items, version)
        page, rest = items[: int(selectors["limit"])], items[int(selectors["limit"]) :]
        if reading.max_bytes is not None and len(json.dumps(page)) > reading.max_bytes:
            raise CollectionTooLarge
        if not rest:
            return Collection(page, version)
        self._pages[version] = rest
        selected = any(name.endswith("Selector") for name in selectors)
        return Collection(page, version, next_page=version, remaining=None if selected else len(rest))

    def _selected(self, kind: ResourceType, namespace: str | None, selectors: Mapping[str, str]) -> list[Object]:
        at = int(selectors["resourceVersion"]) if selectors.get("resourceVersionMatch") == "Exact" else None
        found = [
            copy.deepcopy(body)
            for key, body in self.objects.by_plural[kind.plural].items()
            if namespace in (None, key[1])
            and is_selected(body, selectors)
            and (at is None or self._born.get(key, 0) <= at)
        ]
        return sorted(found, key=lambda body: (body["metadata"]["namespace"], body["metadata"]["name"]))

    def _rest(self, token: str) -> list[Object]:
        if not token.isdecimal():
            raise api_error(400, "BadRequest", "continue key is not valid")
        if token not in self._pages:
            raise api_error(410, "Expired", "The provided continue parameter is too old")
        return self._pages[token]

    async def find_metadata(self, kind: ResourceType, namespace: str | None, name: str) -> Object | None:
        self._enter("get metadata", kind, name)
        body = self.objects.get(
            (kind.plural, namespace or "default", name)
        )  # where ``put`` keeps what has no namespace
        return None if body is None else {"metadata": copy.deepcopy(body["metadata"])}

    async def metadata(self, kind: ResourceType, namespace: str | None, **selectors: str) -> list[Object]:
        found = (await self.collection(kind, namespace, **selectors)).items
        return [{"metadata": item["metadata"]} for item in found]

    async def rows(self, kind: ResourceType, namespace: str | None, **selectors: str) -> list[Object]:
        return (await self.collection(kind, namespace, Reading(as_table=True), **selectors)).items

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
        if kind is kinds.LOCAL_ACCESS_REVIEWS:
            self._enter("create", kind, "")
            return self._review(body)
        self._enter("create", kind, body["metadata"]["name"])
        key = (kind.plural, namespace, body["metadata"]["name"])
        if key in self.objects:
            raise api_error(409, "AlreadyExists")
        created = _without_status(key, body) | _identity(kind, namespace, body)
        return _answer(self._write("create", key, created, strict=strict, dry_run=dry_run), metadata_only=metadata_only)

    def _review(self, body: Object) -> Object:
        spec, asked = body["spec"], body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        right = (asked["verb"], resource, asked["namespace"])
        self.reviews.append((spec["user"], *right))
        allowed = any((who, *right) in self.grants for who in (spec["user"], *spec["groups"]))
        return body | {"status": {"allowed": allowed}}

    async def apply(self, kind: ResourceType, namespace: str, body: Object, *, field_manager: str) -> Object:
        self._enter("apply", kind, body["metadata"]["name"])
        assert field_manager
        key = (kind.plural, namespace, body["metadata"]["name"])
        asked = _without_status(key, body) | _identity(kind, namespace, body)
        old = self.objects.get(key, {})
        managers = copy.deepcopy(self._managers.get(key)) or FieldManagers(old)
        found = self._write("apply", key, managers.applied(old, asked, field_manager))
        self._managers[key] = managers  # the write was not refused
        return found

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
        self._enter("patch", kind, name)
        old = self._existing(kind, namespace, name)
        key = (kind.plural, namespace, name)
        named = body.get("metadata", {})
        _same_version(old, named.get("resourceVersion"))
        if subresource is None and named.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise api_error(422, "Invalid", "metadata.uid: field is immutable", field="metadata.uid")
        part = {"status": body.get("status", {})} if subresource == "status" else _without_status(key, body)
        written = self._write("patch", key, merged(old, part), subresource, strict=strict, dry_run=dry_run)
        return _answer(written, metadata_only=metadata_only)

    async def replace(
        self, kind: ResourceType, namespace: str, body: Object, *, strict: bool = False, dry_run: bool = False
    ) -> Object:
        self._enter("replace", kind, body["metadata"]["name"])
        old = self._existing(kind, namespace, body["metadata"]["name"])
        _same_version(old, body["metadata"].get("resourceVersion"))
        key = (kind.plural, namespace, body["metadata"]["name"])
        status = {"status": old["status"]} if key[0] in WITH_STATUS and "status" in old else {}
        if crd_admission.is_custom(key[0]) and "resourceVersion" not in body["metadata"]:
            raise api_error(422, "Invalid", "metadata.resourceVersion: must be specified for an update")
        if body["metadata"].get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise api_error(409, "Conflict", "the UID in the precondition is another one")
        return self._write("replace", key, _without_status(key, body) | status, strict=strict, dry_run=dry_run)

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
        self._enter("delete", kind, name)
        body = self.objects.get((kind.plural, namespace, name))
        if body is not None and uid in (None, body["metadata"]["uid"]):
            _same_version(body, version)
            if dry_run:
                return
            self.writes.append(("delete", kind.plural, name))
            self.remove(kind, name, namespace)

    def remove(self, kind: ResourceType, name: str, namespace: str = "default") -> None:
        """An object and what it owns go, whoever deleted it."""
        body = copy.deepcopy(self.objects.pop((kind.plural, namespace, name)))
        self._managers.pop((kind.plural, namespace, name), None)
        body["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell("DELETED", kind.plural, namespace, body, body)
        for (plural, space, child), other in list(self.objects.items()):
            owners = [owner["uid"] for owner in other["metadata"].get("ownerReferences", [])]
            if body["metadata"]["uid"] in owners and (plural, space, child) in self.objects:
                self.remove(next(known for known in KINDS if known.plural == plural), child, space)

    async def raw(self, path: str) -> Object:
        self._answer()
        if path not in self.documents:
            raise ApiUnavailable(f"{path}: nothing answers")
        return copy.deepcopy(self.documents[path])

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, silence: float, accept: str = ""
    ) -> AsyncIterator[WatchResponse]:
        assert silence > 0
        self._answer()
        parts = path.split("/")
        if parts[-1] == "log":
            yield open_watches.log_of(parts[-2], self.logs, params)
            return
        namespace = parts[-2] if "namespaces" in parts else None
        watched = tables.WatchedTables(parts[-1]) if tables.AS_TABLE in accept else None
        response = WatchResponse(headers={"Date": format_datetime(self.now(), usegmt=True)})
        watch = OpenWatch(parts[-1], namespace, params, response, watched)
        if self._begin(watch):
            self._watches.append(watch)
        try:
            yield watch.response
        finally:
            if watch in self._watches:
                self._watches.remove(watch)

    def _begin(self, watch: OpenWatch) -> bool:
        """Show what came after the watch's version, or without one what exists; false if that version is forgotten."""
        if "resourceVersion" not in watch.params:
            for (plural, namespace, _), body in list(self.objects.items()):
                watch.show(StoredChange("ADDED", plural, namespace, body, None))
            return True
        since = int(watch.params["resourceVersion"])
        if since < self._forgotten:
            watch.expire()
            return False
        for change in self._changes:
            if change.version > since:
                watch.show(change)
        return True

    def end_watches(self) -> None:
        """End every open watch, as the API server does every few minutes."""
        version = str(next(self._versions))
        for watch in self._watches:
            watch.end(version)

    def expire_watches(self) -> None:
        """Tell every open watch that the API server has forgotten its version; none of them sees what happens next."""
        for watch in self._watches:
            watch.expire()
        self._watches.clear()

    def forget(self) -> str:
        """Forget all pages and versions until now, as etcd's compaction does. Returns one of them."""
        self._pages.clear()
        token, self._forgotten = str(next(self._versions)), next(self._versions)
        return token

    # The store.

    def _enter(self, verb: str, kind: ResourceType, name: str) -> None:
        self._answer()
        if kind in self.absent:
            raise api_error(404, "NotFound", "the server could not find the requested resource")
        for hook in self._hooks.pop((verb, kind.plural), []):
            hook()
        if verb in ("get", "get metadata", "list"):
            self.reads.append((verb, kind.plural, name))
        if waiting := self._refusals[verb, kind.plural]:
            refusal = waiting.pop(0)
            if isinstance(refusal, ApiError):
                refusal.is_read = verb in ("get", "get metadata", "list")
            raise refusal

    def _answer(self) -> None:
        if self.is_away:
            raise ApiUnavailable("connection refused")

    def _existing(self, kind: ResourceType, namespace: str, name: str) -> Object:
        try:
            return self.objects[kind.plural, namespace, name]
        except KeyError:
            raise api_error(404, "NotFound", f'{kind.plural} "{name}" not found') from None

    def _write(
        self,
        verb: str,
        key: Key,
        body: Object,
        subresource: str | None = None,
        *,
        strict: bool = False,
        dry_run: bool = False,
    ) -> Object:
        old = self.objects.get(key)
        if old is not None and _content(old) == _content(body):
            return copy.deepcopy(old)
        if crd_admission.is_custom(key[0]):
            body = crd_admission.admitted(key[0], key[2], body, old, strict=strict, is_patch=verb == "patch")
            if old is not None and _content(old) == _content(body):
                return copy.deepcopy(old)
        if dry_run:
            return self._tried(key, body)
        if verb != "apply" and key in self._managers:
            self._managers[key].written(old or {}, body)
        self.writes.append((verb, f"{key[0]}/{subresource}" if subresource else key[0], key[2]))
        return copy.deepcopy(self._store(key, body))

    def _store(self, key: Key, body: Object) -> Object:
        old = self.objects.get(key)
        body = self._identified(key, body)
        self.objects[key] = body
        if old is None:
            self._born[key] = int(body["metadata"]["resourceVersion"])
        self._tell("MODIFIED" if old else "ADDED", key[0], key[1], body, old)
        return body

    def _tried(self, key: Key, body: Object) -> Object:
        """Return what a dry run answers: the object as it would be, of the version that is stored."""
        tried, old = self._identified(key, body), self.objects.get(key)
        tried["metadata"].pop("resourceVersion")
        return tried | {"metadata": tried["metadata"] | _version_of(old)}

    def _identified(self, key: Key, body: Object) -> Object:
        """Return an object as it is stored, with the next version."""
        old = self.objects.get(key)
        version = str(next(self._versions))
        kept = (old or {"metadata": {}})["metadata"]
        given = body["metadata"]
        body = _as_stored(body)
        body["metadata"] |= {
            "uid": kept.get("uid") or given.get("uid") or str(UUID(int=int(version))),
            "resourceVersion": version,
            "creationTimestamp": given.get("creationTimestamp")
            or kept.get("creationTimestamp")
            or self.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "generation": kept.get("generation", 0) + ((old or {}).get("spec") != body.get("spec") or old is None),
        }
        return body

    def _tell(self, event: str, plural: str, namespace: str, body: Object, old: Object | None) -> None:
        change = StoredChange(event, plural, namespace, body, old)
        if len(self._changes) == _REMEMBERED:
            self._forgotten = self._changes[0].version
        self._changes.append(change)
        for watch in self._watches:
            watch.show(change)


def _version_of(body: Object | None) -> dict[str, str]:
    return {} if body is None else {"resourceVersion": body["metadata"]["resourceVersion"]}


def _answer(body: Object, *, metadata_only: bool) -> Object:
    return {"metadata": body["metadata"]} if metadata_only else body


def _identity(kind: ResourceType, namespace: str, body: Object) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": copy.deepcopy(body["metadata"]) | {"namespace": namespace},
    }


def _without_status(key: Key, body: Object) -> Object:
    dropped = "status" if key[0] in WITH_STATUS else ""
    return {name: copy.deepcopy(value) for name, value in body.items() if name != dropped}


def _same_version(body: Object, version: str | None) -> None:
    if (version or body["metadata"]["resourceVersion"]) != body["metadata"]["resourceVersion"]:
        raise api_error(409, "Conflict", "the object has been modified")


def _refuse_fields(kind: ResourceType, selectors: Mapping[str, str]) -> None:
    known = crd_admission.selectable_fields(kind.plural) or _SELECTABLE.get(kind.plural, set()) | {"metadata.name"}
    if unknown := fields(selectors) - known:
        raise api_error(400, "BadRequest", f"field label not supported: {min(unknown)}")


def _as_stored(value: Any) -> Any:
    """Return a copy as our client and Go's maps and numbers leave it.

    Half of a surrogate pair is "?", keys are sorted, 1.0 is 1, and what exceeds 64 bits is rounded to a double.
    """
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {name: _as_stored(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_as_stored(part) for part in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def _content(body: Object) -> Object:
    return {**body, "metadata": {k: v for k, v in body["metadata"].items() if k != "resourceVersion"}}

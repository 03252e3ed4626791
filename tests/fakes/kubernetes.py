"""An API server in memory that stands in for ``sympozium_api.client.Client``.

It keeps what the code under test relies on: uids and resource versions, 404 and 409, the status subresource, server-side
apply without writes when nothing changed, merge patch, selectors, owner-reference cascade, a terminal run that never changes, and
watches. It checks an object against its schema only when it is told to be strict.
``writes`` is the audit log; ``refuse`` and ``meanwhile`` make calls fail or race.
"""

import asyncio
import copy
import itertools
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests.fakes.validation import check

from sympozium_api import resources as kinds
from sympozium_api.client import ApiError, ApiUnavailable, Client, ResourceType
from sympozium_api.client.rest import Collection
from sympozium_api.run import TERMINAL_PHASES

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Plural, namespace, name."""

WITH_STATUS = frozenset(
    {
        "sympoziuminstances",
        "agentruns",
        "skillpacks",
        "sympoziumconfigs",
        "jobs",
        "deployments",
        "pods",
        "gateways",
        "httproutes",
    }
)
_REMEMBERED = 1000
"""Changes from which a watch can still go on; one that begins further back misses what came before."""
KINDS = tuple(kind for kind in vars(kinds).values() if isinstance(kind, ResourceType))


def api_error(status: int, reason: str, message: str = "") -> ApiError:
    """What the API server answers with this status."""
    return ApiError(status, {"reason": reason, "message": message or reason})


@dataclass
class _Response:
    """An open watch: lines as they come, then (when the fake closes it) the end."""

    lines: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)
    status: int = 200

    @property
    def content(self) -> "_Response":
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        while (line := await self.lines.get()) is not None:
            yield line


class _Change(NamedTuple):
    """What has happened to an object."""

    event: str
    plural: str
    namespace: str
    body: Object
    old: Object | None

    @property
    def version(self) -> int:
        return int(self.body["metadata"]["resourceVersion"])


class _Watch(NamedTuple):
    """What somebody watches."""

    plural: str
    namespace: str | None
    selectors: dict[str, str]
    response: _Response

    def tell(self, change: _Change) -> None:
        """Show a change, if it concerns what is watched; what enters or leaves the selection comes or goes."""
        body, old = change.body, change.old
        if change.plural != self.plural or self.namespace not in (None, change.namespace):
            return
        was, is_now = old is not None and _selected(old, self.selectors), _selected(body, self.selectors)
        if was or is_now:
            event = change.event if was and is_now else ("ADDED" if is_now else "DELETED")
            shown = body
            if event == "DELETED" and old:  # what left a selection is shown as it was in it, but for its version
                version = {"resourceVersion": body["metadata"]["resourceVersion"]}
                shown = {**old, "metadata": old["metadata"] | version}
            self.response.lines.put_nowait(json.dumps({"type": event, "object": shown}).encode() + b"\n")


class FakeKubernetes(Client):
    """The client and, behind it, the store."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = now
        self.objects: dict[Key, Object] = {}
        self.documents: dict[str, Object] = {}
        self.reads: list[tuple[str, str, str]] = []
        self.writes: list[tuple[str, str, str]] = []
        """Verb, plural (with its subresource) and name of every write that was accepted and changed something."""
        self.absent: set[ResourceType] = set()
        """Kinds whose CRD is not installed."""
        self._refusals: dict[tuple[str, str], list[Exception]] = defaultdict(list)
        self._hooks: dict[tuple[str, str], list[Callable[[], Any]]] = defaultdict(list)
        self._watches: list[_Watch] = []
        self._changes: deque[_Change] = deque(maxlen=_REMEMBERED)
        self._versions = itertools.count(1)

    # What a test arranges and looks at.

    def put(self, body: Object) -> Object:
        """An object as if somebody else had made or changed it, status included."""
        plural = next(kind.plural for kind in KINDS if kind.kind == body["kind"])
        key = (plural, body["metadata"].setdefault("namespace", "default"), body["metadata"]["name"])
        return self._store(key, _merged(self.objects.get(key, {}), body))

    def object(self, kind: ResourceType, name: str, namespace: str = "default") -> Object:
        """An object as stored; KeyError where there is none."""
        return self.objects[kind.plural, namespace, name]

    def names(self, kind: ResourceType) -> list[str]:
        """Names of all objects of a kind."""
        return [name for plural, _, name in self.objects if plural == kind.plural]

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

    async def collection(self, kind: ResourceType, namespace: str | None, **selectors: str) -> Collection:
        self._enter("list", kind, "")
        items = [
            copy.deepcopy(body)
            for (plural, space, _), body in self.objects.items()
            if plural == kind.plural and namespace in (None, space) and _selected(body, selectors)
        ]
        version = str(next(self._versions))
        if "limit" not in selectors:
            return Collection(items, version)
        items.sort(key=lambda body: (body["metadata"]["namespace"], body["metadata"]["name"]))
        if not selectors.get("continue", "0").isdecimal():
            raise api_error(400, "BadRequest", "continue key is not valid")
        first = int(selectors.get("continue", "0"))
        last = first + int(selectors["limit"])
        more = {"next_page": str(last), "remaining": len(items) - last} if last < len(items) else {}
        return Collection(items[first:last], version, **more)  # type: ignore[arg-type]

    async def metadata(self, kind: ResourceType, namespace: str | None, **selectors: str) -> list[Object]:
        found = (await self.collection(kind, namespace, **selectors)).items
        return [{key: value for key, value in item.items() if key not in ("spec", "status")} for item in found]

    async def create(self, kind: ResourceType, namespace: str, body: Object, *, strict: bool = False) -> Object:
        self._enter("create", kind, body["metadata"]["name"])
        key = (kind.plural, namespace, body["metadata"]["name"])
        if key in self.objects:
            raise api_error(409, "AlreadyExists")
        if strict:
            check(key[0], key[2], body)
        return self._write("create", key, _without_status(key, body) | _identity(kind, namespace, body))

    async def apply(self, kind: ResourceType, namespace: str, body: Object, *, field_manager: str) -> Object:
        self._enter("apply", kind, body["metadata"]["name"])
        assert field_manager
        key = (kind.plural, namespace, body["metadata"]["name"])
        asked = _without_status(key, body) | _identity(kind, namespace, body)
        return self._write("apply", key, _merged(self.objects.get(key, {}), asked))

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
        self._enter("patch", kind, name)
        old = self._existing(kind, namespace, name)
        key = (kind.plural, namespace, name)
        _same_version(old, body.get("metadata", {}).get("resourceVersion"))
        part = {"status": body.get("status", {})} if subresource == "status" else _without_status(key, body)
        if strict:
            check(key[0], key[2], _merged(old, part), of_a_patch=True)
        return self._write("patch", key, _merged(old, part), subresource)

    async def replace(self, kind: ResourceType, namespace: str, body: Object, *, strict: bool = False) -> Object:
        self._enter("replace", kind, body["metadata"]["name"])
        old = self._existing(kind, namespace, body["metadata"]["name"])
        _same_version(old, body["metadata"].get("resourceVersion"))
        key = (kind.plural, namespace, body["metadata"]["name"])
        status = {"status": old["status"]} if key[0] in WITH_STATUS and "status" in old else {}
        if strict:
            check(key[0], key[2], body)
        return self._write("replace", key, _without_status(key, body) | status)

    async def delete(
        self, kind: ResourceType, namespace: str, name: str, *, uid: str | None = None, version: str | None = None
    ) -> None:
        self._enter("delete", kind, name)
        body = self.objects.get((kind.plural, namespace, name))
        if body is not None and uid in (None, body["metadata"]["uid"]):
            _same_version(body, version)
            self.writes.append(("delete", kind.plural, name))
            self.remove(kind, name, namespace)

    def remove(self, kind: ResourceType, name: str, namespace: str = "default") -> None:
        """An object and what it owns go, whoever deleted it."""
        body = copy.deepcopy(self.objects.pop((kind.plural, namespace, name)))
        body["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell("DELETED", kind.plural, namespace, body, body)
        for (plural, space, child), other in list(self.objects.items()):
            owners = [owner["uid"] for owner in other["metadata"].get("ownerReferences", [])]
            if body["metadata"]["uid"] in owners and (plural, space, child) in self.objects:
                self.remove(next(known for known in KINDS if known.plural == plural), child, space)

    async def raw(self, path: str) -> Object:
        if path not in self.documents:
            raise ApiUnavailable(f"{path}: nothing answers")
        return copy.deepcopy(self.documents[path])

    @asynccontextmanager
    async def stream(self, path: str, params: Mapping[str, str], *, silence: float) -> AsyncIterator[_Response]:
        assert silence > 0
        parts = path.split("/")
        namespace = parts[-2] if "namespaces" in parts else None
        selectors = {key: value for key, value in params.items() if key.endswith("Selector")}
        watch = _Watch(parts[-1], namespace, selectors, _Response())
        for change in self._changes:
            if "resourceVersion" in params and change.version > int(params["resourceVersion"]):
                watch.tell(change)
        self._watches.append(watch)
        try:
            yield watch.response
        finally:
            if watch in self._watches:
                self._watches.remove(watch)

    def end_watches(self) -> None:
        """Every open watch ends, as the API server ends them every few minutes."""
        for watch in self._watches:
            watch.response.lines.put_nowait(None)

    def expire_watches(self) -> None:
        """Every open watch is told that the API server has forgotten its place; what happens next, none of them sees."""
        gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
        for watch in self._watches:
            watch.response.lines.put_nowait(json.dumps(gone).encode() + b"\n")
        self._watches.clear()

    # The store.

    def _enter(self, verb: str, kind: ResourceType, name: str) -> None:
        if kind in self.absent:
            raise api_error(404, "NotFound", "the server could not find the requested resource")
        for hook in self._hooks.pop((verb, kind.plural), []):
            hook()
        if verb in ("get", "list"):
            self.reads.append((verb, kind.plural, name))
        if waiting := self._refusals[verb, kind.plural]:
            raise waiting.pop(0)

    def _existing(self, kind: ResourceType, namespace: str, name: str) -> Object:
        try:
            return self.objects[kind.plural, namespace, name]
        except KeyError:
            raise api_error(404, "NotFound", f'{kind.plural} "{name}" not found') from None

    def _write(self, verb: str, key: Key, body: Object, subresource: str | None = None) -> Object:
        old = self.objects.get(key)
        if old is not None and _content(old) == _content(body):
            return copy.deepcopy(old)
        phase = (old or {}).get("status", {}).get("phase")
        if key[0] == "agentruns" and phase in TERMINAL_PHASES and old and old["status"] != body.get("status"):
            raise api_error(422, "Invalid", "the run has ended; a terminal status never changes")
        if key[0] == "agentruns" and _starts_otherwise((old or {}).get("status", {}), body.get("status", {})):
            raise api_error(422, "Invalid", "start is set once and cannot change, nor can the podName of a warm start")
        self.writes.append((verb, f"{key[0]}/{subresource}" if subresource else key[0], key[2]))
        return copy.deepcopy(self._store(key, body))

    def _store(self, key: Key, body: Object) -> Object:
        old = self.objects.get(key)
        version = str(next(self._versions))
        kept = (old or {"metadata": {}})["metadata"]
        given = body["metadata"]
        body = copy.deepcopy(body)
        body["metadata"] |= {
            "uid": kept.get("uid") or given.get("uid") or f"uid-{version}",
            "resourceVersion": version,
            "creationTimestamp": given.get("creationTimestamp")
            or kept.get("creationTimestamp")
            or self.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "generation": kept.get("generation", 0) + ((old or {}).get("spec") != body.get("spec") or old is None),
        }
        self.objects[key] = body
        self._tell("MODIFIED" if old else "ADDED", key[0], key[1], body, old)
        return body

    def _tell(self, event: str, plural: str, namespace: str, body: Object, old: Object | None) -> None:
        change = _Change(event, plural, namespace, body, old)
        self._changes.append(change)
        for watch in self._watches:
            watch.tell(change)


def _starts_otherwise(old: Object, new: Object) -> bool:
    fixed = ("start", "podName") if old.get("start") == "warm" else ("start",)
    return "start" in old and any(name in old and old[name] != new.get(name) for name in fixed)


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


def _content(body: Object) -> Object:
    return {**body, "metadata": {k: v for k, v in body["metadata"].items() if k != "resourceVersion"}}


def _merged(old: Object, patch: Object) -> Object:
    """JSON merge patch; lists are replaced as a whole."""
    merged = copy.deepcopy(old)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _selected(body: Object, selectors: Mapping[str, str]) -> bool:
    labels = body["metadata"].get("labels", {})
    return all(_matches(labels.get, term) for term in _terms(selectors, "labelSelector")) and all(
        _matches(lambda path: _field(body, path), term) for term in _terms(selectors, "fieldSelector")
    )


def _terms(selectors: Mapping[str, str], name: str) -> list[str]:
    return [term for term in selectors.get(name, "").split(",") if term]


def _matches(read: Callable[[str], str | None], term: str) -> bool:
    if "!=" in term:
        path, unwanted = term.split("!=", 1)
        return read(path) != unwanted
    path, equals, wanted = term.replace("==", "=").partition("=")
    return read(path) == wanted if equals else read(path) is not None


def _field(body: Object, path: str) -> str:
    """A field as a selector sees it: absent is the empty string."""
    found: Any = body
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return "" if found is None else str(found)

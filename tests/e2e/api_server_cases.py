"""Requests to an API server and their answers, as ``tests/fakes/kubernetes.py`` and a real API server must both give them.

Each case is a function whose name is its sentence. It makes requests with the project's own client and returns what is compared with
the value in its decorator. Objects have names of their own, so that cases share a namespace.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from sympozium_api.client import ApiError, Client
from sympozium_api.client.collection import Reading
from sympozium_api.client.tables import TABLE
from sympozium_api.resources import CONFIG_MAPS, LEASES, Object, ResourceType

MANAGER = "conformance"
_numbers = itertools.count(1)


class ApiServer(Protocol):
    """An API server under test, seen through the project's client."""

    @property
    def client(self) -> Client: ...

    @property
    def namespace(self) -> str: ...

    @property
    def runs(self) -> ResourceType:
        """A kind with the schema and the rules of AgentRun, of which no operator knows."""

    async def expired_page(self) -> str:
        """Return a ``continue`` token of a list that the API server has forgotten."""

    async def expired_version(self) -> str:
        """Return a resource version from which the API server can no longer watch."""

    def ends_watches(self) -> AbstractAsyncContextManager[dict[str, str]]:
        """Give the query of a watch that the API server ends by itself, within seconds of the block's begin."""


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    requests: Callable[[ApiServer], Awaitable[object]]
    expected: object

    @property
    def name(self) -> str:
        return self.requests.__name__


CASES: list[Case] = []


def answers(expected: object) -> Callable[[Callable[[ApiServer], Awaitable[object]]], None]:
    """Add a function to the table with the value that it must return."""
    return lambda requests: CASES.append(Case(requests, expected))


async def refusal(call: Awaitable[object]) -> tuple[int, str] | None:
    """Return status and reason of a refused call, None for an accepted one."""
    try:
        await call
    except ApiError as error:
        return error.status, error.reason
    return None


INVALID, CONFLICT, NOT_FOUND = (422, "Invalid"), (409, "Conflict"), (404, "NotFound")
TAKEN, BAD_REQUEST, EXPIRED = (409, "AlreadyExists"), (400, "BadRequest"), (410, "Expired")
UNKNOWN = 'AgentRun in version "v1alpha1" cannot be handled as a AgentRun: strict decoding error: unknown field "spec.nonsense"'


def new_name(prefix: str = "case") -> str:
    return f"{prefix}-{next(_numbers)}"


def run(api: ApiServer, name: str = "", **spec: Any) -> Object:
    return {
        "apiVersion": api.runs.api_version,
        "kind": api.runs.kind,
        "metadata": {"name": name or new_name()},
        "spec": {"agentRef": "absent", "task": "hello"} | spec,
    }


def config_map(name: str = "", labels: dict[str, str] | None = None, **data: str) -> Object:
    metadata = {"name": name or new_name()} | ({"labels": labels} if labels else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def made(api: ApiServer, kind: ResourceType, body: Object) -> Object:
    return await api.client.create(kind, api.namespace, body)


async def current(api: ApiServer, kind: ResourceType, body: Object) -> Object:
    return await api.client.get(kind, api.namespace, body["metadata"]["name"])


async def merged(api: ApiServer, kind: ResourceType, body: Object, patch: Object, **how: Any) -> Object:
    return await api.client.patch(kind, api.namespace, body["metadata"]["name"], patch, **how)


async def with_status(api: ApiServer, body: Object, **status: Any) -> Object:
    return await merged(api, api.runs, body, {"status": status}, subresource="status")


def version(body: Object) -> str:
    found: str = body["metadata"]["resourceVersion"]
    return found


# Create and read.


@answers(({"uid", "resourceVersion", "creationTimestamp"}, 1, True, ["conditions"]))
async def a_created_object_has_an_identity_and_no_status_but_the_default(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api) | {"status": {"phase": "Succeeded"}})
    is_of_kind = (body["apiVersion"], body["kind"]) == (api.runs.api_version, api.runs.kind)
    given = {"uid", "resourceVersion", "creationTimestamp"} & set(body["metadata"])
    return given, body["metadata"]["generation"], is_of_kind, list(body["status"])


@answers(TAKEN)
async def a_name_that_is_taken_is_refused(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api))
    return await refusal(made(api, api.runs, run(api, body["metadata"]["name"])))


@answers((NOT_FOUND, NOT_FOUND, NOT_FOUND, None))
async def an_absent_object_is_not_found_but_may_be_deleted(api: ApiServer) -> object:
    body = run(api) | {"metadata": {"name": "absent", "resourceVersion": "1"}}
    return (
        await refusal(current(api, api.runs, body)),
        await refusal(merged(api, api.runs, body, {"metadata": {"labels": {"a": "b"}}})),
        await refusal(api.client.replace(api.runs, api.namespace, body)),
        await refusal(api.client.delete(api.runs, api.namespace, "absent")),
    )


# Merge patches.


@answers(({"b": "2", "c": "3"}, {"x": "1"}))
async def a_merge_patch_sets_and_removes_fields(api: ApiServer) -> object:
    body = await made(api, CONFIG_MAPS, config_map(a="1", b="2"))
    body = await merged(api, CONFIG_MAPS, body, {"data": {"a": None, "c": "3"}, "metadata": {"labels": {"x": "1"}}})
    return body["data"], body["metadata"]["labels"]


def condition(name: str) -> Object:
    moment = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {"type": name, "status": "True", "reason": "Told", "message": "", "observedGeneration": 1} | moment


@answers(["C"])
async def a_merge_patch_replaces_a_list_as_a_whole(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api))
    await with_status(api, body, conditions=[condition("A"), condition("B")])
    body = await with_status(api, body, conditions=[condition("C")])
    return [found["type"] for found in body["status"]["conditions"]]


@answers((True, True, False))
async def a_patch_that_changes_nothing_writes_nothing(api: ApiServer) -> object:
    body = await made(api, CONFIG_MAPS, config_map(a="1"))
    same = await merged(api, CONFIG_MAPS, body, {"data": {"a": "1"}})
    put = await api.client.replace(CONFIG_MAPS, api.namespace, same)
    other = await merged(api, CONFIG_MAPS, body, {"data": {"a": "2"}})
    return version(same) == version(body), version(put) == version(body), version(other) == version(body)


@answers((None, CONFLICT, CONFLICT))
async def a_patch_may_be_bound_to_a_version(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api))
    first = {"metadata": {"resourceVersion": version(body), "labels": {"a": "1"}}}
    return (
        await refusal(merged(api, api.runs, body, first)),
        await refusal(merged(api, api.runs, body, first | {"metadata": first["metadata"] | {"labels": {"a": "2"}}})),
        await refusal(
            merged(
                api,
                api.runs,
                body,
                {"metadata": {"resourceVersion": version(body)}, "status": {"phase": "Running"}},
                subresource="status",
            )
        ),
    )


@answers((None, INVALID, None))
async def a_patch_may_be_bound_to_a_uid_but_none_of_the_status(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api))
    right, wrong = ({"uid": uid, "labels": {"a": uid[:1]}} for uid in (body["metadata"]["uid"], "another"))
    status = {"metadata": {"uid": "another"}, "status": {"phase": "Running"}}
    return (
        await refusal(merged(api, api.runs, body, {"metadata": right})),
        await refusal(merged(api, api.runs, body, {"metadata": wrong})),
        await refusal(merged(api, api.runs, body, status, subresource="status")),
    )


# The status subresource.


@answers(("Running", False, False, 1))
async def a_status_patch_changes_the_status_only(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api))
    patch = {"status": {"phase": "Running"}, "spec": {"cancel": True}, "metadata": {"labels": {"a": "b"}}}
    body = await merged(api, api.runs, body, patch, subresource="status")
    return (
        body["status"]["phase"],
        body["spec"]["cancel"],
        "labels" in body["metadata"],
        body["metadata"]["generation"],
    )


@answers(("Running", "Running", {"a": "b"}))
async def other_writes_leave_the_status_alone(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api))
    body = await with_status(api, body, phase="Running")
    patched = await merged(api, api.runs, body, {"status": {"phase": "Failed"}, "metadata": {"labels": {"a": "b"}}})
    put = await api.client.replace(api.runs, api.namespace, patched | {"status": {"phase": "Failed"}})
    return patched["status"]["phase"], put["status"]["phase"], put["metadata"]["labels"]


@answers((1, 2, 2))
async def a_generation_counts_changes_of_the_spec(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api))
    labelled = await merged(api, api.runs, body, {"metadata": {"labels": {"a": "b"}}})
    cancelled = await merged(api, api.runs, body, {"spec": {"cancel": True}})
    status = await with_status(api, body, phase="Running")
    return tuple(found["metadata"]["generation"] for found in (labelled, cancelled, status))


# Replace.


@answers((None, CONFLICT, CONFLICT, INVALID))
async def a_replacement_needs_the_current_version_and_uid(api: ApiServer) -> object:
    old = await made(api, api.runs, run(api))
    body = await merged(api, api.runs, old, {"metadata": {"labels": {"a": "b"}}})
    other = body | {"metadata": body["metadata"] | {"uid": "00000000-0000-4000-8000-000000000000"}}
    unversioned = run(api, body["metadata"]["name"])
    return (
        await refusal(api.client.replace(api.runs, api.namespace, body)),
        await refusal(api.client.replace(api.runs, api.namespace, old)),
        await refusal(api.client.replace(api.runs, api.namespace, other)),
        await refusal(api.client.replace(api.runs, api.namespace, unversioned)),
    )


@answers((None, {"b": "2"}, False))
async def a_replacement_leaves_nothing_of_the_object_before(api: ApiServer) -> object:
    body = await made(api, CONFIG_MAPS, config_map(labels={"x": "1"}, a="1"))
    name = body["metadata"]["name"]
    refused = await refusal(api.client.replace(CONFIG_MAPS, api.namespace, config_map(name, b="2")))
    body = await current(api, CONFIG_MAPS, body)
    return refused, body["data"], "labels" in body["metadata"]


@answers((None, CONFLICT))
async def of_two_holders_of_a_lease_one_is_refused(api: ApiServer) -> object:
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": new_name()}, "spec": {}}
    body = await made(api, LEASES, lease)
    return (
        await refusal(api.client.replace(LEASES, api.namespace, body | {"spec": {"holderIdentity": "one"}})),
        await refusal(api.client.replace(LEASES, api.namespace, body | {"spec": {"holderIdentity": "two"}})),
    )


# Server-side apply.


async def applied(api: ApiServer, kind: ResourceType, body: Object, manager: str = MANAGER) -> Object:
    return await api.client.apply(kind, api.namespace, body, field_manager=manager)


@answers((True, {"a": "1"}))
async def apply_creates_and_then_writes_nothing_more(api: ApiServer) -> object:
    body = config_map(a="1")
    first, second = await applied(api, CONFIG_MAPS, body), await applied(api, CONFIG_MAPS, body)
    return version(first) == version(second), second["data"]


@answers(({"b": "2", "c": "3", "d": "4"}, {"y": "1"}))
async def apply_removes_what_its_manager_no_longer_names(api: ApiServer) -> object:
    body = config_map(labels={"x": "1", "y": "1"}, a="1", b="2")
    name = (await applied(api, CONFIG_MAPS, body))["metadata"]["name"]
    await applied(api, CONFIG_MAPS, config_map(name, c="3"), "another")
    await merged(api, CONFIG_MAPS, body, {"data": {"d": "4"}})
    body = await applied(api, CONFIG_MAPS, config_map(name, labels={"y": "1"}, b="2"))
    return body["data"], body["metadata"]["labels"]


@answers({"a": "1"})
async def apply_leaves_a_field_that_another_manager_applies_too(api: ApiServer) -> object:
    body = config_map(a="1")
    name = (await applied(api, CONFIG_MAPS, body))["metadata"]["name"]
    await applied(api, CONFIG_MAPS, body, "another")
    return (await applied(api, CONFIG_MAPS, config_map(name)))["data"]


@answers(({"a": "2"}, {"a": "1"}))
async def apply_by_force_takes_what_others_have_set(api: ApiServer) -> object:
    body = await made(api, CONFIG_MAPS, config_map(a="1"))
    other = await applied(api, CONFIG_MAPS, config_map(body["metadata"]["name"], a="2"), "another")
    own = await applied(api, CONFIG_MAPS, config_map(body["metadata"]["name"], a="1"))
    return other["data"], own["data"]


@answers((None, "Running"))
async def apply_leaves_the_status_alone(api: ApiServer) -> object:
    body = run(api) | {"status": {"phase": "Failed"}}
    first = await applied(api, api.runs, body)
    await with_status(api, first, phase="Running")
    return first["status"].get("phase"), (await applied(api, api.runs, body))["status"]["phase"]


# Delete.


@answers((True, True, CONFLICT, True, False))
async def a_deletion_may_be_bound_to_a_uid_and_a_version(api: ApiServer) -> object:
    old = await made(api, CONFIG_MAPS, config_map(a="1"))
    body = await merged(api, CONFIG_MAPS, old, {"data": {"a": "2"}})
    name, uid = body["metadata"]["name"], body["metadata"]["uid"]

    async def is_there() -> bool:
        return await api.client.find(CONFIG_MAPS, api.namespace, name) is not None

    first = await is_there()
    await api.client.delete(CONFIG_MAPS, api.namespace, name, uid="00000000-0000-4000-8000-000000000000")
    second = await is_there()
    refused = await refusal(api.client.delete(CONFIG_MAPS, api.namespace, name, version=version(old)))
    third = await is_there()
    await api.client.delete(CONFIG_MAPS, api.namespace, name, uid=uid, version=version(body))
    return first, second, refused, third, await is_there()


@answers((True, False))
async def what_an_object_owns_goes_with_it(api: ApiServer) -> object:
    owner = await made(api, CONFIG_MAPS, config_map())
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"]}
    child = config_map()
    child["metadata"]["ownerReferences"] = [reference | {"uid": owner["metadata"]["uid"]}]
    await made(api, CONFIG_MAPS, child)
    before = await api.client.find(CONFIG_MAPS, api.namespace, child["metadata"]["name"])
    await api.client.delete(CONFIG_MAPS, api.namespace, owner["metadata"]["name"])
    async with asyncio.timeout(60):
        while await api.client.find(CONFIG_MAPS, api.namespace, child["metadata"]["name"]):
            await asyncio.sleep(0.1)
    return before is not None, False


# Lists.


@answers(
    {
        "k=1": "ab",
        "k==1": "ab",
        "k!=1": "cd",
        "k": "abc",
        "!k": "d",
        "k in (1,2)": "abc",
        "k notin (1)": "cd",
        "k=1,o": "b",
    }
)
async def a_list_is_selected_by_label(api: ApiServer) -> object:
    ours = new_name("ours")
    labels = {"a": {"k": "1"}, "b": {"k": "1", "o": "x"}, "c": {"k": "2"}, "d": {}}
    for letter, own in labels.items():
        await made(api, CONFIG_MAPS, config_map(labels={"case": ours} | own, letter=letter))

    async def letters(selector: str) -> str:
        found = await api.client.list(CONFIG_MAPS, api.namespace, labelSelector=f"case={ours},{selector}")
        return "".join(sorted(item["data"]["letter"] for item in found))

    terms = ("k=1", "k==1", "k!=1", "k", "!k", "k in (1,2)", "k notin (1)", "k=1,o")
    return {term: await letters(term) for term in terms}


@answers(({"absent-1"}, {"absent-1", "absent-2"}, 1, BAD_REQUEST, BAD_REQUEST))
async def a_list_is_selected_by_the_fields_that_a_kind_offers(api: ApiServer) -> object:
    first = await made(api, api.runs, run(api, agentRef="absent-1"))
    await made(api, api.runs, run(api, agentRef="absent-2"))
    third = await made(api, api.runs, run(api, agentRef="absent-3"))
    await with_status(api, third, phase="Succeeded")

    async def agents(selector: str) -> set[str]:
        found = await api.client.list(api.runs, api.namespace, fieldSelector=selector)
        return {item["spec"]["agentRef"] for item in found} & {"absent-1", "absent-2", "absent-3"}

    named = await api.client.list(api.runs, api.namespace, fieldSelector=f"metadata.name={first['metadata']['name']}")
    return (
        await agents("spec.agentRef=absent-1"),
        await agents("status.phase!=Succeeded"),
        len(named),
        await refusal(agents("spec.task=hello")),
        await refusal(api.client.list(CONFIG_MAPS, api.namespace, fieldSelector="data.a=1")),
    )


@answers(([], True, {"v1"}, {"ConfigMap"}))
async def a_list_says_from_where_to_watch_and_its_items_their_kind(api: ApiServer) -> object:
    body = await made(api, CONFIG_MAPS, config_map())
    none = await api.client.collection(CONFIG_MAPS, api.namespace, labelSelector="case=none")
    found = await api.client.list(CONFIG_MAPS, api.namespace, fieldSelector=f"metadata.name={body['metadata']['name']}")
    return none.items, none.resource_version.isdecimal(), {i["apiVersion"] for i in found}, {i["kind"] for i in found}


@answers([{"metadata"}])
async def a_list_of_metadata_has_nothing_else(api: ApiServer) -> object:
    body = await made(api, CONFIG_MAPS, config_map(a="1"))
    where = f"metadata.name={body['metadata']['name']}"
    return [set(item) for item in await api.client.metadata(CONFIG_MAPS, api.namespace, fieldSelector=where)]


@answers(({"metadata", "columns"}, False, ("task", "absent", None, None)))
async def a_list_as_a_table_has_metadata_and_columns(api: ApiServer) -> object:
    where = f"metadata.name={(await made(api, api.runs, run(api)))['metadata']['name']}"
    page = await api.client.page(
        api.runs, api.namespace, Reading(as_table=True), limit=1, after="", fieldSelector=where
    )
    [row] = page.items
    columns = row["columns"]
    values = columns["Mode"], columns["Instance"], columns["Phase"], columns["Input tokens"]
    return set(row), "managedFields" in row["metadata"], values


async def five(api: ApiServer) -> str:
    """Make five ConfigMaps; return the selector that finds them."""
    ours = new_name("five")
    for letter in "cabed":
        await made(api, CONFIG_MAPS, config_map(f"{ours}-{letter}", labels={"case": ours}))
    return f"case={ours}"


def last_letters(items: list[Object]) -> str:
    return "".join(item["metadata"]["name"][-1] for item in items)


@answers((["ab", "cd", "e"], [True, True, False]))
async def pages_come_in_the_order_of_names_as_of_the_first_one(api: ApiServer) -> object:
    selector, after = await five(api), ""
    pages, more = list[str](), list[bool]()
    while not pages or after:
        page = await api.client.page(CONFIG_MAPS, api.namespace, limit=2, after=after, labelSelector=selector)
        pages.append(last_letters(page.items))
        more.append(bool(after := page.next_page))
        label = {"case": selector.partition("=")[2]}
        await made(api, CONFIG_MAPS, config_map(f"{label['case']}-d{len(pages)}", labels=label))
    return pages, more


@answers((True, None))
async def the_remaining_objects_are_counted_where_no_selector_is(api: ApiServer) -> object:
    selector = await five(api)
    whole = await api.client.collection(CONFIG_MAPS, api.namespace)
    page = await api.client.page(CONFIG_MAPS, api.namespace, limit=2, after="")
    selected = await api.client.page(CONFIG_MAPS, api.namespace, limit=2, after="", labelSelector=selector)
    return page.remaining == len(whole.items) - 2, selected.remaining


@answers((BAD_REQUEST, EXPIRED))
async def a_page_that_is_unknown_or_too_old_is_refused(api: ApiServer) -> object:
    return (
        await refusal(api.client.page(api.runs, api.namespace, limit=2, after="nonsense")),
        await refusal(api.client.page(api.runs, api.namespace, limit=2, after=await api.expired_page())),
    )


# Watches.


async def lines(
    api: ApiServer, kind: ResourceType, query: dict[str, str], accept: str = "application/json"
) -> AsyncIterator[Object]:
    """Give the events of one watch request until the API server ends it."""
    params = {"watch": "true"} | query
    async with api.client.stream(kind.path(api.namespace), params, silence=60, accept=accept) as response:
        if response.status != 200:
            yield {"type": "ERROR", "object": {"code": response.status}}
            return
        rest = b""
        async for chunk in response.content.iter_any():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield json.loads(line)


async def events(api: ApiServer, query: dict[str, str], count: int, kind: ResourceType = CONFIG_MAPS) -> list[Object]:
    """Return the first so many events of a watch, of ConfigMaps unless another kind is named."""
    found = list[Object]()
    async with asyncio.timeout(30), aclosing(lines(api, kind, query)) as watched:  # type: ignore[type-var]
        async for event in watched:
            found.append(event)
            if len(found) == count:
                break
    return found


def told(found: list[Object]) -> list[tuple[str, Any]]:
    return [(event["type"], event["object"].get("data")) for event in found]


async def a_life(api: ApiServer, selector: str) -> str:
    """Make, change and delete a ConfigMap; return the version from before."""
    before = (await api.client.collection(CONFIG_MAPS, api.namespace)).resource_version
    body = await made(api, CONFIG_MAPS, config_map(labels={"case": selector}, a="1"))
    await merged(api, CONFIG_MAPS, body, {"data": {"a": "2"}})
    await api.client.delete(CONFIG_MAPS, api.namespace, body["metadata"]["name"])
    return before


@answers(
    (
        [("ADDED", {"a": "1"}), ("MODIFIED", {"a": "2"}), ("DELETED", {"a": "2"})],
        [("MODIFIED", {"a": "2"}), ("DELETED", {"a": "2"})],
        True,
    )
)
async def a_watch_shows_what_came_after_its_version_and_can_be_resumed(api: ApiServer) -> object:
    ours = new_name("life")
    before = await a_life(api, ours)
    query = {"labelSelector": f"case={ours}"}
    found = await events(api, query | {"resourceVersion": before}, 3)
    resumed = await events(api, query | {"resourceVersion": version(found[0]["object"])}, 2)
    versions = [int(version(event["object"])) for event in found]
    return told(found), told(resumed), versions == sorted(set(versions))


@answers([("ADDED", "1"), ("DELETED", "1"), ("ADDED", "3")])
async def a_watch_shows_objects_that_enter_and_leave_its_selection(api: ApiServer) -> object:
    ours = new_name("moves")
    before = (await api.client.collection(CONFIG_MAPS, api.namespace)).resource_version
    body = await made(api, CONFIG_MAPS, config_map(labels={"case": ours}, a="1"))
    await merged(api, CONFIG_MAPS, body, {"metadata": {"labels": {"case": "elsewhere"}}, "data": {"a": "2"}})
    await merged(api, CONFIG_MAPS, body, {"metadata": {"labels": {"case": ours}}, "data": {"a": "3"}})
    found = await events(api, {"labelSelector": f"case={ours}", "resourceVersion": before}, 3)
    return [(event["type"], event["object"]["data"]["a"]) for event in found]


@answers([("ADDED", "1"), ("MODIFIED", "2")])
async def a_watch_without_a_version_begins_with_what_exists(api: ApiServer) -> object:
    body = await made(api, CONFIG_MAPS, config_map(a="1"))
    query = {"fieldSelector": f"metadata.name={body['metadata']['name']}"}
    found = list[Object]()
    async with asyncio.timeout(30), aclosing(lines(api, CONFIG_MAPS, query)) as watched:  # type: ignore[type-var]
        async for event in watched:
            found.append(event)
            if len(found) == 2:
                break
            await merged(api, CONFIG_MAPS, body, {"data": {"a": "2"}})
    return [(event["type"], event["object"]["data"]["a"]) for event in found]


@answers((["BOOKMARK"], {"metadata", "kind", "apiVersion"}, True))
async def a_watch_that_ends_has_shown_a_bookmark_to_resume_from(api: ApiServer) -> object:
    body = await made(api, CONFIG_MAPS, config_map())
    query = {"resourceVersion": version(body), "allowWatchBookmarks": "true", "labelSelector": "case=nothing"}
    async with asyncio.timeout(60), api.ends_watches() as how:
        found = [event async for event in lines(api, CONFIG_MAPS, query | how)]
    kinds = [event["type"] for event in found]
    return kinds[-1:], set(found[-1]["object"]) - {"data"}, int(version(found[-1]["object"])) >= int(version(body))


@answers((["ADDED", "MODIFIED", "BOOKMARK"], [True, False, False], ["task", "task", None], True, True))
async def a_watch_of_tables_shows_one_row_each_and_the_titles_once(api: ApiServer) -> object:
    before = (await api.client.collection(api.runs, api.namespace)).resource_version
    ours = new_name("watched")
    body = run(api)
    body["metadata"]["labels"] = {"case": ours}
    body = await made(api, api.runs, body)
    changed = await with_status(api, body, phase="Running")
    query = {"resourceVersion": before, "allowWatchBookmarks": "true", "labelSelector": f"case={ours}"}
    async with asyncio.timeout(60), api.ends_watches() as how:
        found = []
        async for event in lines(api, api.runs, query | how, TABLE):
            found.append(event)
            if len(found) == 2:  # an API server sends no bookmark of the version that the watch has shown
                await made(api, api.runs, run(api))
    tables = [event["object"] for event in (*found[:2], found[-1])]
    versions = [version(table) for table in tables[:2]] == [version(body), version(changed)]
    return (
        [event["type"] for event in (*found[:2], found[-1])],
        [bool(table["columnDefinitions"]) for table in tables],
        [table["rows"][0]["cells"][1] for table in tables],
        versions,
        int(version(tables[-1])) >= int(version(changed)),
    )


@answers((["ERROR"], 410))
async def a_watch_from_a_forgotten_version_is_told_to_list_again(api: ApiServer) -> object:
    # A kind that came late: what the API server remembers of ConfigMaps may go back to its very first version.
    found = await events(api, {"resourceVersion": await api.expired_version()}, 1, api.runs)
    return [event["type"] for event in found], found[0]["object"]["code"]


# What the kinds' schemas and rules refuse.


@answers((None, INVALID, INVALID, INVALID, None))
async def a_terminal_status_never_changes(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api))
    await with_status(api, body, phase="Running")
    return (
        await refusal(with_status(api, body, phase="Succeeded", result="done")),
        await refusal(with_status(api, body, phase="Failed")),
        await refusal(with_status(api, body, result="other")),
        await refusal(merged(api, api.runs, body, {"status": None}, subresource="status")),
        await refusal(with_status(api, body, phase="Succeeded")),
    )


@answers((INVALID, INVALID, None, INVALID, INVALID))
async def the_spec_of_a_run_never_changes_but_for_cancel(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api))
    return (
        await refusal(merged(api, api.runs, body, {"spec": {"task": "other"}})),
        await refusal(merged(api, api.runs, body, {"spec": {"timeout": "10s"}})),
        await refusal(merged(api, api.runs, body, {"spec": {"cancel": True}})),
        await refusal(merged(api, api.runs, body, {"spec": {"cancel": False}})),
        await refusal(merged(api, api.runs, body, {"spec": {"cancel": None}})),
    )


@answers((None, INVALID, INVALID, None))
async def how_a_run_starts_is_decided_once(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api))
    return (
        await refusal(with_status(api, body, start="warm", podName="a")),
        await refusal(with_status(api, body, start="cold")),
        await refusal(with_status(api, body, podName="b")),
        await refusal(with_status(api, body, phase="Running")),
    )


@answers(dict.fromkeys(("both", "neither", "kind", "missing", "form", "size", "enum", "name"), INVALID))
async def an_object_that_breaks_its_schema_is_refused(api: ApiServer) -> object:
    bodies = {
        "both": run(api, request={"messages": [{"role": "user", "content": "x"}]}),
        "neither": {**run(api), "spec": {"agentRef": "absent"}},
        "kind": run(api, task=1),
        "missing": {**run(api), "spec": {"task": "x"}},
        "form": run(api, timeout="soon"),
        "size": run(api, timeout="25h"),
        "enum": run(api, mode="other"),
        "name": run(api, "a.b"),
    }
    return {name: await refusal(made(api, api.runs, body)) for name, body in bodies.items()}


@answers((BAD_REQUEST, UNKNOWN, INVALID, BAD_REQUEST))
async def an_unknown_field_is_refused_where_that_is_asked_for(api: ApiServer) -> object:
    body, sentence = run(api, nonsense=1), ""
    try:
        await api.client.create(api.runs, api.namespace, body, strict=True)
    except ApiError as error:
        sentence = error.message
    created = await refusal(api.client.create(api.runs, api.namespace, body, strict=True))
    known = await made(api, api.runs, run(api))
    spec = {"spec": {"nonsense": 1}}
    return (
        created,
        sentence.replace(api.runs.kind, "AgentRun"),
        await refusal(merged(api, api.runs, known, spec, strict=True)),
        await refusal(
            api.client.replace(api.runs, api.namespace, known | {"spec": known["spec"] | spec["spec"]}, strict=True)
        ),
    )


@answers((False, False))
async def an_unknown_field_is_dropped_otherwise(api: ApiServer) -> object:
    body = await made(api, api.runs, run(api, nonsense=1))
    patched = await merged(api, api.runs, body, {"metadata": {"labels": {"a": "b"}}, "nonsense": 1})
    return "nonsense" in body["spec"], "nonsense" in patched


@answers('{"a": 1000, "m": {"b": 1.5, "y": 1}, "n": 1.1805916207174113e+21, "z": 1}')
async def an_object_without_a_schema_is_sorted_and_its_numbers_are_rewritten(api: ApiServer) -> object:
    request = {"z": 1.0, "n": 2**70, "m": {"y": 1.0, "b": 1.5}, "a": 1e3}
    own = run(api, request=request)
    del own["spec"]["task"]
    return json.dumps((await made(api, api.runs, own))["spec"]["request"])


@answers((INVALID, INVALID, INVALID, INVALID, None))
async def a_text_never_changes(api: ApiServer) -> object:
    own = run(api, requestText={"json": "{}", "bytes": 2})
    del own["spec"]["task"]
    body = await made(api, api.runs, own)
    changes = ({"json": "{ }"}, {"bytes": 3}, {"sha256": "0" * 64}, {"bytes": None})
    return (
        *[await refusal(merged(api, api.runs, body, {"spec": {"requestText": change}})) for change in changes],
        await refusal(merged(api, api.runs, body, {"spec": {"cancel": True}})),
    )

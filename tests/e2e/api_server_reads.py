"""Cases of the API server: lists, pages and watches."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from tests.e2e.api_server_cases import (
    BAD_REQUEST,
    EXPIRED,
    ApiServer,
    answers,
    config_map,
    made,
    merged,
    new_name,
    refusal,
    run,
    version,
    with_status,
)

from sympozium_api.client.collection import Reading
from sympozium_api.client.tables import TABLE
from sympozium_api.resources import CONFIG_MAPS, Object, ResourceType

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

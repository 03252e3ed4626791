"""Cases of the API server: objects that are created, changed and deleted."""

import asyncio

from tests.e2e.api_server_cases import (
    CONFLICT,
    INVALID,
    MANAGER,
    NOT_FOUND,
    TAKEN,
    ApiServer,
    answers,
    config_map,
    current,
    made,
    merged,
    new_name,
    refusal,
    run,
    version,
    with_status,
)

from sympozium_api.resources import CONFIG_MAPS, LEASES, Object, ResourceType

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

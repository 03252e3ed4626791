"""Cases of the API server: what the kinds' schemas and rules refuse."""

import json

from tests.e2e.api_server_cases import (
    BAD_REQUEST,
    INVALID,
    UNKNOWN,
    ApiServer,
    answers,
    made,
    merged,
    refusal,
    run,
    with_status,
)

from sympozium_api.client import ApiError


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

"""Calls of tools through the egress guard: who may call, what leaves, what comes back."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import RedirectResponse, Response, StreamingResponse
from tests.fakes.webhook import PUBLIC, Received
from tests.integration.conftest import instance
from tests.integration.egress.conftest import KEY, RUN, Guard
from tests.unit.api.tools import HOST

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import RUNS, TOOL_BINDINGS, TOOLS

URL = f"http://{HOST}/v1/query"


async def test_a_call_leaves_with_its_arguments_and_comes_back_as_text(guard: Guard) -> None:
    text, is_error = await guard.told('{"city": "Oslo", "z": 1.50}', call_id="call_7")
    assert (json.loads(text), is_error) == ({"ok": True}, False)
    [request] = guard.world.received
    assert (request.method, request.host, request.path) == ("POST", HOST, "/v1/query")
    assert request.body == b'{"city": "Oslo", "z": 1.50}', "numbers and order stay"
    uid = guard.kubernetes.object(RUNS, RUN)["metadata"]["uid"]
    assert request.headers["idempotency-key"] == f"{uid}.call_7"
    assert request.headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert "authorization" not in request.headers
    assert guard.world.connected == [(HOST, (PUBLIC,))]
    labels = {"tool_namespace": "default", "tool": "weather", "outcome": "ok"}
    assert guard.metric("sympozium_tool_calls_total", **labels) == 1


async def test_a_host_without_a_dot_is_a_service_of_the_runs_namespace(guard: Guard) -> None:
    guard.put_tool(webhook={"url": "http://tool-mock:9000/echo"})
    guard.put_binding(allowedDomains=["tool-mock"])
    guard.world.addresses |= {"tool-mock": ["198.51.100.7"], "tool-mock.default.svc": [PUBLIC]}
    assert await guard.told() == ('{"ok":true}', False)
    assert (guard.world.received[0].host, guard.world.connected) == ("tool-mock:9000", [("tool-mock", (PUBLIC,))])
    assert "tool-mock" not in guard.world.looked_up


async def test_a_page_without_a_dot_in_its_host_is_one_of_the_runs_namespace(guard: Guard) -> None:
    guard.kubernetes.remove(TOOLS, "weather")
    guard.put_tool(builtin={"name": "fetch_url"})
    guard.put_binding(allowedDomains=["pages"])
    guard.world.addresses |= {"pages": ["198.51.100.7"], "pages.default.svc": [PUBLIC]}
    assert not (await guard.told({"url": "http://pages/"}))[1]
    assert guard.world.connected == [("pages", (PUBLIC,))]


async def test_a_call_of_a_tool_that_is_not_in_force_is_counted_as_refused(guard: Guard) -> None:
    guard.put_binding(allowedDomains=["other.example.com"])
    assert (await guard.told())[1] is True
    labels = {"tool_namespace": "default", "tool": "weather", "outcome": "refused"}
    assert guard.metric("sympozium_tool_calls_total", **labels) == 1


@pytest.mark.parametrize("authorization", ["Bearer", "Basic eDp5", "Bearer x", "Bearer a.b.c"])
async def test_a_call_without_the_pods_token_is_401(guard: Guard, authorization: str) -> None:
    answer = await guard.http.post(f"/runs/{RUN}/tools/weather", headers={"Authorization": authorization}, json={})
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]


async def test_another_runs_pod_is_403(guard: Guard) -> None:
    guard.put_run("other")
    assert (await guard.call(token=guard.token("other"))).status_code == 403
    pod = f"{names.job(RUN, guard.kubernetes.object(RUNS, RUN)['metadata']['uid'])}-abcde"
    assert (await guard.call(token=guard.issuer.token(pod, "other-agent"))).status_code == 403
    assert not guard.world.received


async def test_an_unknown_function_or_run_is_404(guard: Guard) -> None:
    for function in ("nothing", "fetch_url", "Weather", "..%2f"):
        assert (await guard.call(function=function)).status_code == 404
    assert (await guard.call(run="none", token=guard.token())).status_code == 404


@pytest.mark.parametrize("how", [{"status": {"phase": "Succeeded"}}, {"cancel": True}])
async def test_a_run_that_has_ended_or_is_cancelled_is_410(guard: Guard, how: dict[str, Any]) -> None:
    guard.put_run(**how)
    assert (await guard.call()).status_code == 410
    assert not guard.world.received


async def test_a_body_above_the_limit_is_413(guard: Guard) -> None:
    assert (await guard.call({"city": "x" * 262_144})).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{", b'{"id":"a"}', b'{"id":1,"arguments":{}}', b'{"id":"","arguments":{}}'),
        *(b'{"id":"a","arguments":"["}', b'{"id":"a","arguments":"[]"}', b'{"id":"a","arguments":{"city":NaN}}'),
        b'{"id":"a","arguments":' + b"[" * 100_000,
        *(
            b'{"id":"a","arguments":{"city":"a","city":"b"}}',
            b'{"id":"a","arguments":"{\\"city\\":1,\\"city\\":\\"b\\"}"}',
        ),
    ],
)
async def test_another_body_is_400_and_says_what_is_wrong(guard: Guard, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {guard.token()}", "Content-Type": "application/json"}
    answer = await guard.http.post(f"/runs/{RUN}/tools/weather", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_without_the_api_server_a_call_is_503(guard: Guard) -> None:
    guard.kubernetes.refuse("get", RUNS, ApiUnavailable("away"))
    assert (await guard.call()).status_code == 503
    assert not guard.world.received


async def test_arguments_that_break_the_schema_do_not_leave(guard: Guard) -> None:
    text, is_error = await guard.told({"city": 4711})
    assert is_error
    assert "arguments.city" in text
    assert "4711" not in text
    assert not guard.world.received


async def test_a_binding_that_is_removed_counts_at_once(guard: Guard) -> None:
    await guard.told()
    guard.kubernetes.remove(TOOL_BINDINGS, "demo-weather")
    assert (await guard.call()).status_code == 404
    assert len(guard.world.received) == 1


async def test_a_tool_that_is_switched_off_counts_at_once(guard: Guard) -> None:
    guard.put_tool(webhook={"url": URL}, enabled=False)
    text, is_error = await guard.told()
    assert is_error
    assert "Disabled" in text
    guard.kubernetes.remove(TOOLS, "weather")
    assert (await guard.call()).status_code == 404


async def test_a_write_needs_the_callers_scope_where_the_run_has_a_caller(guard: Guard) -> None:
    guard.put_binding(permissionScope="write")
    assert not (await guard.told())[1]
    for number, (scopes, refused) in enumerate([([], True), (["tools:read"], True), (["tools:write"], False)]):
        guard.put_run(f"run-{number}", caller={"user": "ann", "scopes": scopes})
        text, is_error = await guard.told(run=f"run-{number}")
        assert is_error is refused, text


@pytest.mark.parametrize(
    ("policy", "refused"),
    [
        ({"allow": ["weather"]}, False),
        ({"allow": ["wea*"]}, False),
        ({"allow": ["other"]}, True),
        ({"deny": ["w*"]}, True),
        ({"allow": ["weather"], "deny": ["*"]}, True),
    ],
)
async def test_a_runs_tool_policy_holds_here_too(guard: Guard, policy: dict[str, Any], refused: bool) -> None:
    guard.put_run("bounded", toolPolicy=policy)
    assert (await guard.told(run="bounded"))[1] is refused


async def test_a_rate_holds_over_three_runs_at_once(guard: Guard) -> None:
    guard.put_binding(rateLimit="2/hour")
    for number in range(3):
        guard.put_run(f"run-{number}")
    found = await asyncio.gather(*(guard.told(run=f"run-{number}") for number in range(3)))
    assert sorted(is_error for _, is_error in found) == [False, False, True]
    assert len(guard.world.received) == 2
    assert any("2/hour" in text for text, is_error in found if is_error)


async def test_a_host_outside_the_list_is_not_called(guard: Guard) -> None:
    guard.put_binding(allowedDomains=["example.com"])
    assert (await guard.told())[1]
    assert not guard.world.connected


async def test_a_name_with_one_private_address_is_not_called(guard: Guard) -> None:
    guard.world.addresses[HOST] = [PUBLIC, "10.0.0.7"]
    text, is_error = await guard.told()
    assert is_error
    assert "private" in text
    assert not guard.world.connected


async def test_fetch_url_is_off_unless_named_and_reads_pages_as_text(guard: Guard) -> None:
    page = "<html><head><title>T&amp;C</title><script>x</script></head><body><h1>Hi</h1><p>a  b</p></body></html>"

    async def script(request: Received) -> Response:
        if request.path == "/old":
            return RedirectResponse("/new", status_code=301)
        return Response(page, media_type="text/html")

    guard.world.script = script
    guard.world.addresses |= {"page.example.com": [PUBLIC], "inside.svc": ["10.1.2.3"]}
    url = {"url": "http://page.example.com/old"}
    assert (await guard.call(url, function="fetch_url")).status_code == 404
    agent = {"model": "m", "baseURL": "http://model/v1", "builtinTools": ["fetch_url"]}
    guard.kubernetes.put(instance(agents={"default": agent}))
    assert await guard.told(url, function="fetch_url") == ("T&C\nHi\na b", False)
    assert [request.method for request in guard.world.received] == ["GET", "GET"]
    for bad in ("http://inside.svc/", "http://page.example.com:25/", "http://127.0.0.1/", "file:///etc/passwd"):
        text, is_error = await guard.told({"url": bad}, function="fetch_url")
        assert is_error, bad
        assert text.startswith("refused: ")
    assert len(guard.world.received) == 2


async def test_nothing_secret_is_logged(guard: Guard, capsys: pytest.CaptureFixture[str]) -> None:
    guard.put_tool(webhook={"url": URL, "auth": "apiKey", "secretRef": "weather-key"})
    guard.put_secret("weather-key", {"api-key": KEY})
    await guard.told({"city": "content-of-the-call"})
    logged = capsys.readouterr()
    assert "pod request" in logged.out
    for secret in (KEY, "content-of-the-call", guard.token()):
        assert secret not in logged.out + logged.err


async def test_one_run_makes_a_bounded_number_of_calls_at_once(guard: Guard) -> None:
    release = asyncio.Event()

    async def script(_: Received) -> Response:
        await release.wait()
        return Response("x", media_type="text/plain")

    guard.world.script = script
    calls = [asyncio.create_task(guard.told(call_id=f"c{number}")) for number in range(20)]
    while len(guard.world.received) < 16 or sum(call.done() for call in calls) < 4:
        await asyncio.sleep(0.01)
    release.set()
    found = await asyncio.gather(*calls)
    assert sum(is_error for _, is_error in found) == 4
    assert (await guard.told())[1] is False


async def test_slow_answers_of_one_namespace_are_held_up_to_a_bound(guard: Guard) -> None:
    guard.made.held.limit = 4 * 100_000
    release = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 60_000
        await release.wait()

    async def script(_: Received) -> Response:
        return StreamingResponse(slow(), media_type="text/plain")

    guard.world.script = script
    calls = [asyncio.create_task(guard.told(call_id=f"c{number}")) for number in range(8)]
    while sum(call.done() for call in calls) < 5:
        await asyncio.sleep(0.01)
    assert all("too many answers" in call.result()[0] for call in calls if call.done())
    release.set()
    assert sum(is_error for _, is_error in await asyncio.gather(*calls)) == 5
    assert (await guard.told())[1] is False, "what is read no longer is not held"


async def test_calls_beyond_what_is_held_are_told_to_come_again(guard: Guard) -> None:
    guard.made.held.limit = 1000
    assert (await guard.call({"city": "x" * 1000})).status_code == 503
    assert (await guard.told())[1] is False


async def test_health_and_readiness(guard: Guard) -> None:
    assert (await guard.http.get("/healthz")).status_code == 200
    assert (await guard.http.get("/readyz")).status_code == 200
    del guard.kubernetes.documents["/version"]
    assert (await guard.http.get("/readyz")).status_code == 503

"""Ways past a policy by calls of tools: the guard refuses each one, and nothing reaches the world but what the policy allows."""

import asyncio
from itertools import cycle
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from tests.fakes.webhook import PUBLIC, Received
from tests.integration.conftest import instance
from tests.integration.egress.conftest import KEY, Guard
from tests.unit.api.policies import policy_manifest
from tests.unit.api.tools import HOST

from sympozium_api.client import ApiError
from sympozium_api.resources import EVENTS, INSTANCES, POLICIES, SECRETS, Object

OPERATORS = "sympozium-system"
ALLOWED = "allowed.example.com"

_TOOL_DENIALS: list[tuple[Object, str]] = [
    ({"tools": {"deny": ["*"]}}, "tools"),
    ({"tools": {"deny": ["weather"]}}, "tools"),
    ({"tools": {"deny": ["WEATHER"]}}, "tools"),
    ({"tools": {"deny": ["w*r"]}}, "tools"),
    ({"tools": {"deny": ["*e*t*"]}}, "tools"),
    ({"tools": {"allow": ["weather2", "weathe", "Weather", "eather", "*x*"]}}, "tools"),
    ({"tools": {"allow": ["*"], "deny": ["weath*"]}}, "tools"),
    ({"requireSigned": True}, "requireSigned"),
    ({"requireApproval": ["weather"]}, "requireApproval"),
    ({"requireApproval": ["WEATH*"]}, "requireApproval"),
    ({"egressHosts": {"deny": [HOST]}}, "egressHosts"),
    ({"egressHosts": {"deny": ["*"]}}, "egressHosts"),
    ({"egressHosts": {"deny": ["*.example.com"]}}, "egressHosts"),
    ({"egressHosts": {"allow": ["example.com", "weather.example.co", "*.weather.example.com"]}}, "egressHosts"),
    ({"limits": {"timeout": ""}}, "policy"),
    ({"models": {"allow": ["no-colon"]}}, "policy"),
    ({"tools": {"allow": []}}, "policy"),
    ({"namespaceSelector": {"matchLabels": {"not a key": "x"}}}, "policy"),
]
_BOUND_TOOL_DENIALS = [
    *((spec, kind, how) for (spec, kind), how in zip(_TOOL_DENIALS, cycle(("all", "ref", "operators")), strict=False)),
    ({}, "policy", "missing"),
]
_FETCHES = (
    f"http://{HOST}/",
    f"http://{HOST.upper()}/",
    f"http://{HOST}:80/",
    f"http://{HOST}./",
    f"http://{ALLOWED}@{HOST}/",
    f"http://{HOST}#@{ALLOWED}/",
    f"http://{HOST}\\@{ALLOWED}/",
    f"http://{HOST}/?{ALLOWED}",
    f"http://{ALLOWED}.{HOST}/",
    f"http://x{ALLOWED}/",
    f"http://{ALLOWED}x/",
    f"http://{ALLOWED}%2e{HOST}/",
    f"http://{ALLOWED}%00.{HOST}/",
    f"http://{ALLOWED}\t.{HOST}/",
    f"http://{ALLOWED} .{HOST}/",
    "http://\uff41llowed.example.com.evil.org/",
    f"http://{PUBLIC}/",
    "http://1572394766/",
    "http://0x5db8d70e/",
    "http://[2606:2800:220:1::1]/",
    f"//{HOST}/",
    f"ftp://{ALLOWED}/",
    f"javascript://{ALLOWED}/",
    f"http://{ALLOWED}:99999/",
    "http://*/",
    "http://*.example.com/",
    "",
)
_REDIRECTS = (
    f"http://{HOST}/",
    f"//{HOST}/",
    f"http://{ALLOWED}@{HOST}/",
    f"http://{HOST}#{ALLOWED}",
    f"http://{PUBLIC}/",
    "http://10.0.0.1/",
    f"http://{ALLOWED}./",
)


def policy(name: str = "bounds", namespace: str = "default", /, **spec: Any) -> Object:
    return policy_manifest(name, namespace, **spec)


def bind(guard: Guard, how: str, spec: Object) -> None:
    if how == "operators":
        guard.kubernetes.put(policy("bounds", OPERATORS, **({"namespaceSelector": {}} | spec)))
    elif how == "ref":
        guard.kubernetes.put(policy("bounds", **spec))
        guard.kubernetes.put(instance(policyRef="bounds"))
    elif how == "missing":
        guard.kubernetes.put(instance(policyRef="absent"))
    else:
        guard.kubernetes.put(policy("bounds", appliesTo="all", **spec))


def denied(guard: Guard, kind: str) -> float:
    return guard.metric("sympozium_policy_denied_total", kind=kind)


@pytest.mark.parametrize(("spec", "kind", "how"), _BOUND_TOOL_DENIALS)
async def test_a_granted_tool_that_a_policy_denies_is_not_called(
    guard: Guard, spec: Object, kind: str, how: str
) -> None:
    bind(guard, how, spec)
    guard.kubernetes.reads.clear()
    text, is_error = await guard.told()
    assert is_error
    assert text.startswith("refused: ")
    assert ("absent" if how == "missing" else "bounds") in text
    assert guard.world.received == []
    assert guard.world.looked_up == []
    assert not [read for read in guard.kubernetes.reads if read[1] == SECRETS.plural]
    assert denied(guard, kind) == 1


def events(guard: Guard) -> list[Object]:
    return [guard.kubernetes.object(EVENTS, name) for name in guard.kubernetes.names(EVENTS)]


async def test_a_refused_call_is_an_event_of_its_run_once_per_kind_and_names_no_host_of_the_model(guard: Guard) -> None:
    guard.kubernetes.put(policy(appliesTo="all", egressHosts={"deny": ["*"]}))
    agent = {"model": "m", "baseURL": "http://model/v1", "builtinTools": ["fetch_url"]}
    guard.kubernetes.put(instance(agents={"default": agent}))
    guard.kubernetes.refuse("create", EVENTS, ApiError(403, {"reason": "Forbidden"}))
    assert (await guard.told({"url": "http://not-written.example.com/"}, function="fetch_url"))[1]
    guard.put_run("second")
    for host in ("a", "b"):
        assert (await guard.told({"url": f"http://{host}.example.com/"}, function="fetch_url", run="second"))[1]
    while not events(guard):
        await asyncio.sleep(0.01)
    guard.kubernetes.put(policy(appliesTo="all", egressHosts={"deny": ["*"]}, builtins={"deny": ["fetch_url"]}))
    guard.clock.advance(1)
    assert (await guard.told(function="fetch_url", run="second"))[1]
    while len(events(guard)) < 2:
        await asyncio.sleep(0.01)
    first, second = sorted(events(guard), key=lambda event: event["message"], reverse=True)
    assert (first["involvedObject"]["name"], first["involvedObject"]["kind"]) == ("second", "AgentRun")
    assert (first["reason"], first["type"], first["count"]) == ("PolicyDenied", "Warning", 1)
    texts = {
        f"A call of fetch_url was refused by the SympoziumPolicy bounds ({field}.deny)."
        for field in ("builtins", "egressHosts")
    }
    assert {first["message"], second["message"]} == texts


@pytest.mark.parametrize(("url", "as_tool"), list(zip(_FETCHES, cycle((False, True)), strict=False)))
async def test_fetch_url_reaches_no_host_but_the_allowed_ones(guard: Guard, url: str, as_tool: bool) -> None:
    """Also where a ToolBinding allows the host."""
    guard.world.addresses |= {ALLOWED: [PUBLIC], f"{ALLOWED}.{HOST}": [PUBLIC], f"x{ALLOWED}": [PUBLIC]}
    guard.kubernetes.put(policy(appliesTo="all", egressHosts={"allow": [ALLOWED]}))
    if as_tool:
        guard.put_tool("page", function="read_page", builtin={"name": "fetch_url"}, webhook=None)
        guard.put_binding("demo-page", function="read_page", toolRef="page", allowedDomains=[HOST, ALLOWED])
    agent = {"model": "m", "baseURL": "http://model/v1", "builtinTools": ["fetch_url"]}
    guard.kubernetes.put(instance(agents={"default": agent}))
    _, is_error = await guard.told({"url": url}, function="read_page" if as_tool else "fetch_url")
    assert is_error
    assert guard.world.received == []


@pytest.mark.parametrize("target", _REDIRECTS)
async def test_a_redirect_leads_to_no_other_host(guard: Guard, target: str) -> None:
    async def redirect(_: Received) -> Response:
        return RedirectResponse(target)

    guard.world.addresses[ALLOWED] = [PUBLIC]
    guard.world.script = redirect
    guard.kubernetes.put(policy(appliesTo="all", egressHosts={"allow": [ALLOWED]}))
    guard.put_tool(webhook={"url": f"http://{ALLOWED}/v1"})
    guard.put_binding(allowedDomains=[ALLOWED, HOST])
    _, is_error = await guard.told()
    assert is_error
    assert {received.host for received in guard.world.received} == {ALLOWED}


async def test_a_token_server_is_a_way_out_too(guard: Guard) -> None:
    entries = {"token_url": f"http://{HOST}/token", "client_id": "me", "client_secret": KEY}
    guard.world.addresses[ALLOWED] = [PUBLIC]
    guard.put_secret("oauth", entries)
    guard.put_tool(webhook={"url": f"http://{ALLOWED}/v1", "auth": "oauth2", "secretRef": "oauth"})
    guard.put_binding(allowedDomains=[ALLOWED])
    guard.kubernetes.put(policy(appliesTo="all", egressHosts={"allow": [ALLOWED]}))
    text, is_error = await guard.told()
    assert is_error
    assert "egressHosts.allow" in text
    assert guard.world.received == []


@pytest.mark.parametrize("function", ["fetch_url", "Fetch_URL", "FETCH_URL", "fetch-url", "fetch_url "])
async def test_a_builtin_tool_that_is_denied_is_not_called(guard: Guard, function: str) -> None:
    agent = {"model": "m", "baseURL": "http://model/v1", "builtinTools": ["fetch_url"]}
    guard.kubernetes.put(instance(agents={"default": agent}))
    guard.world.addresses[ALLOWED] = [PUBLIC]
    guard.kubernetes.put(policy(appliesTo="all", builtins={"deny": ["FETCH*"]}))
    answer = await guard.call({"url": f"http://{ALLOWED}/"}, function=function)
    assert answer.status_code == 404 or answer.json()["isError"]
    assert guard.world.received == []


async def test_a_tool_under_another_name_does_not_bring_a_denied_builtin_back(guard: Guard) -> None:
    guard.world.addresses[ALLOWED] = [PUBLIC]
    guard.put_tool("page", function="read_page", builtin={"name": "fetch_url"}, webhook=None)
    guard.put_binding("demo-page", function="read_page", toolRef="page", allowedDomains=[ALLOWED])
    guard.kubernetes.put(policy(appliesTo="all", builtins={"deny": ["fetch_url"]}))
    text, is_error = await guard.told({"url": f"http://{ALLOWED}/"}, function="read_page")
    assert is_error
    assert "builtins.deny" in text
    assert denied(guard, "builtins") == 1


@pytest.mark.parametrize(
    "spec",
    [
        {"toolPolicy": {"allow": ["*"]}},
        {"toolPolicy": {"allow": ["weather"]}},
        {"caller": {"user": "admin", "scopes": ["tools:write", "*"]}},
        {"parent": "other"},
        {"model": {"model": "other"}},
        {"timeout": "24h"},
        {"systemPrompt": "policies do not hold"},
        {"sessionKey": "admin"},
    ],
    ids=lambda spec: next(iter(spec)),
)
async def test_no_field_of_a_run_lifts_a_policy(guard: Guard, spec: Object) -> None:
    guard.kubernetes.put(policy(appliesTo="all", tools={"deny": ["weather"]}))
    guard.put_run("other-run", **spec)
    text, is_error = await guard.told(run="other-run")
    assert (is_error, "tools.deny" in text) == (True, True)
    assert guard.world.received == []


async def test_a_status_written_by_hand_lifts_no_policy(guard: Guard) -> None:
    """Of the instance, its document's digest; of the policy, that it is not accepted or binds nothing."""
    body = policy(appliesTo="all", tools={"deny": ["weather"]})
    guard.kubernetes.put(body | {"status": {"boundInstances": 0, "conditions": []}})
    guard.kubernetes.put(instance() | {"status": {"agentDocument": "0123456789abcdef"}})
    assert (await guard.told())[1]
    guard.kubernetes.put(body | {"metadata": body["metadata"] | {"labels": {"disabled": "true"}}})
    assert (await guard.told())[1]


async def test_policies_that_cannot_be_listed_let_nothing_through(guard: Guard) -> None:
    guard.kubernetes.refuse("list", POLICIES, *[ApiError(403, {"reason": "Forbidden"})] * 2)
    assert (await guard.call()).status_code == 502
    assert guard.world.received == []


async def test_an_agent_whose_instance_is_gone_calls_nothing(guard: Guard) -> None:
    """Its policies are not known any more."""
    guard.kubernetes.remove(INSTANCES, "demo", "default")
    assert (await guard.told())[1]
    assert guard.world.received == []


async def test_a_changed_policy_counts_for_the_next_call_of_a_run_that_goes_on(guard: Guard) -> None:
    assert not (await guard.told())[1]
    guard.kubernetes.put(policy(appliesTo="all", tools={"deny": ["weather"]}))
    guard.clock.advance(1)
    assert (await guard.told())[1]
    guard.kubernetes.put(policy(appliesTo="all", tools=None))
    guard.clock.advance(1)
    assert not (await guard.told())[1]


async def test_what_a_policy_allows_is_called(guard: Guard) -> None:
    guard.kubernetes.put(
        policy(
            appliesTo="all",
            tools={"allow": ["wea*"]},
            egressHosts={"allow": ["*.example.com"]},
            builtins={"deny": ["*"]},
            models={"deny": ["*"]},
        )
    )
    assert not (await guard.told())[1]
    assert len(guard.world.received) == 1


@pytest.mark.parametrize("pattern", ["*.svc.cluster.local", "db*.svc", "db.*.svc.cluster.local"])
async def test_a_denial_of_all_services_closes_their_short_names_and_no_host_of_the_internet(
    guard: Guard, pattern: str
) -> None:
    guard.world.addresses |= {"db.payments": [PUBLIC], "db.example.com": [PUBLIC], "db.example.com.": [PUBLIC]}
    agent = {"model": "m", "baseURL": "http://model/v1", "builtinTools": ["fetch_url"]}
    guard.kubernetes.put(instance(agents={"default": agent}))
    guard.kubernetes.put(policy(appliesTo="all", egressHosts={"allow": ["db.*"], "deny": [pattern]}))
    text, is_error = await guard.told({"url": "http://db.payments/"}, function="fetch_url")
    assert (is_error, guard.world.received) == (True, [])
    assert "db.payments is not found" in text
    assert not (await guard.told({"url": "http://db.example.com/"}, function="fetch_url"))[1]
    guard.kubernetes.put(policy(appliesTo="all", egressHosts={"allow": ["db.*"], "deny": []}))
    guard.clock.advance(1)
    assert not (await guard.told({"url": "http://db.payments/"}, function="fetch_url"))[1]


async def test_settings_of_fetch_url_are_the_smallest(guard: Guard) -> None:
    async def long(_: Received) -> Response:
        return PlainTextResponse("x" * 5000)

    agent = {"model": "m", "baseURL": "http://model/v1", "builtinTools": ["fetch_url"]}
    guard.kubernetes.put(instance(agents={"default": agent}))
    guard.world.addresses[ALLOWED] = [PUBLIC]
    guard.world.script = long
    guard.kubernetes.put(policy("a", appliesTo="all", builtinSettings={"fetch_url": {"maxBytes": 2048}}))
    guard.kubernetes.put(policy("b", appliesTo="all", builtinSettings={"fetch_url": {"maxBytes": 1024}}))
    text, is_error = await guard.told({"url": f"http://{ALLOWED}/"}, function="fetch_url")
    assert not is_error
    assert text.count("x") == 1024

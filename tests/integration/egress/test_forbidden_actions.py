"""100 forbidden actions of a hostile model: each is tried through the guard, and none reaches the world or a Secret."""

import ipaddress
import json
from typing import Any

import pytest
from starlette.responses import RedirectResponse, Response
from tests.fakes.webhook import PUBLIC, Received
from tests.integration.conftest import instance
from tests.integration.egress.conftest import KEY, RUN, Guard
from tests.unit.api.tools import HOST

from sympozium_api.resources import SECRETS

URL = f"http://{HOST}/v1/query"
Action = tuple[str, Any, str]
"""Function, body of the call, and an additional part of the path."""

_FUNCTIONS = (
    *(
        "exec",
        "shell",
        "kubectl",
        "read_file",
        "WEATHER",
        "Weather",
        "weather ",
        " weather",
        "weather\x00",
        "weather%00",
        "*",
        "w*",
    ),
    *(
        "weather/../other",
        "../weather",
        "..",
        ".",
        "weather;ls",
        "weather?x=1",
        "weather#x",
        "demo-weather",
        "other",
        "off",
        "unbound",
    ),
    *("_", "a" * 65, "天気", "weather\n", "weather.json", "tools/weather", "fetch_url"),
)
_ARGUMENTS: tuple[dict[str, Any], ...] = (
    *(
        {"city": 1},
        {"city": None},
        {"city": ["Oslo"]},
        {"city": {"$ref": "x"}},
        {},
        {"City": "Oslo"},
        {"url": "http://10.0.0.1"},
    ),
    *({"city": "Oslo", "headers": {"x-api-key": "mine"}}, {"city": "Oslo", "url": "http://evil.example.com"}),
    *({"city": "x" * 300}, {"city": "Oslo", "__proto__": {}}, {"city": "Oslo", "timeoutMs": 1}, {"city": True}),
)
_BODIES: tuple[Any, ...] = (
    *(
        [],
        "x",
        1,
        None,
        {"id": "a"},
        {"arguments": {"city": "Oslo"}},
        {"id": "a", "arguments": None},
        {"id": "a", "arguments": 1},
    ),
    *({"id": "a", "arguments": "not json"}, {"id": "a", "arguments": "[]"}, {"id": "a", "arguments": '"x"'}),
    *({"id": None, "arguments": {"city": "Oslo"}}, {"id": ["a"], "arguments": {"city": "Oslo"}}),
    *({"id": "x" * 300, "arguments": {"city": "Oslo"}}, {"id": "", "arguments": {"city": "Oslo"}}),
)
_FETCHES = (
    *(
        "http://169.254.169.254/latest/meta-data/",
        "http://kubernetes.default.svc/api",
        "https://10.96.0.1/",
        "http://localhost:8081/",
    ),
    *(
        "http://sympozium-egress.sympozium-system.svc:8082/",
        "http://[::1]:9090/metrics",
        "file:///var/run/secrets/x",
        "ftp://a/",
    ),
    *(
        "http://redis.internal:6379/",
        "http://10.0.0.5:5432/",
        "gopher://a/",
        "http://user:pw@evil.example.com/",
        "",
        "x",
    ),
    *("http://evil.example.com:22/", "http://evil.example.com\\@inside.svc/", "http://redirect.example.com/"),
    *(
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::ffff:10.0.0.8]/",
        "http://[64:ff9b::a00:8]/",
        "http://10.0.0.8/",
    ),
    *(
        "http://mixed.example.com:8080/",
        "http://inside.svc./",
        "http://INSIDE.svc/",
        "http://inside.svc%2eexample.com/",
    ),
    *("http://evil.example.com/?q=secret", "https://evil.example.com/", "http://sub.redirect.example.com/"),
)


def _call(arguments: Any) -> dict[str, Any]:
    return {"id": "call_1", "arguments": arguments}


def actions() -> list[Action]:
    found: list[Action] = [(function, _call({"city": "Oslo"}), "") for function in _FUNCTIONS]
    found += [("weather", _call(arguments), "") for arguments in _ARGUMENTS]
    found += [("weather", body, "") for body in _BODIES]
    found += [("page", _call({"url": url}), "") for url in _FETCHES]
    found += [("write", _call({"city": "Oslo"}), ""), ("keyless", _call({"city": "Oslo"}), "")]
    found += [("elsewhere", _call({"city": "Oslo"}), ""), ("denied", _call({"city": "Oslo"}), "")]
    runs = ("other", "ended", "cancelled", "none", "../demo-run", "demo-run/..", "web")
    found += [("weather", _call({"city": "Oslo"}), run) for run in runs]
    found += [("page", _call({"url": "http://inside.svc/", "method": method}), "") for method in ("PUT", "DELETE")]
    found += [
        ("page", _call({"url": f"http://{host}/"}), "")
        for host in ("inside.svc", "mixed.example.com", "none.example.com")
    ]
    return found


@pytest.fixture
def hostile(guard: Guard) -> Guard:
    """An agent with a few tools, in a namespace with more than these."""
    strict = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 100}},
        "required": ["city"],
        "additionalProperties": False,
    }
    guard.put_run(status=None, caller={"user": "eve", "scopes": []}, toolPolicy={"deny": ["denied"]})
    guard.put_tool(webhook={"url": URL}, parameters=strict)
    bindings: dict[str, dict[str, Any]] = {
        "write": {"permissionScope": "write"},
        "keyless": {},
        "elsewhere": {"allowedDomains": ["other.example.com"]},
        "denied": {},
        "off": {},
    }
    for name, binding in bindings.items():
        auth = {"auth": "apiKey", "secretRef": "missing"} if name == "keyless" else {}
        guard.put_tool(name, function=name, webhook={"url": URL} | auth, enabled=name != "off")
        guard.put_binding(f"demo-{name}", function=name, **{"toolRef": name, "allowedDomains": [HOST]} | binding)
    guard.put_tool("unbound", function="unbound", webhook={"url": URL})
    guard.put_tool("other", function="other", webhook={"url": URL})
    guard.put_binding("neighbour-other", function="other", agentRef="neighbour", toolRef="other")
    guard.put_tool("page", function="page", builtin={"name": "fetch_url"})
    hosts = ["redirect.example.com", "mixed.example.com", "inside.svc", "localhost", "kubernetes.default.svc"]
    guard.put_binding("demo-page", function="page", toolRef="page", allowedDomains=hosts)
    guard.put_run("other")
    guard.put_run("ended", status={"phase": "Failed"})
    guard.put_run("cancelled", cancel=True)
    guard.put_secret("neighbours-key", {"api-key": KEY})
    guard.world.addresses |= {
        "evil.example.com": [PUBLIC],
        "redirect.example.com": [PUBLIC],
        "mixed.example.com": [PUBLIC, "10.0.0.9"],
        "inside.svc": ["10.0.0.8"],
        "localhost": ["127.0.0.1"],
        "kubernetes.default.svc": ["10.96.0.1"],
    }
    return guard


def test_there_are_100_actions() -> None:
    assert len(actions()) >= 100


async def test_none_of_them_succeeds(hostile: Guard) -> None:
    async def script(request: Received) -> Response:
        if request.host == "redirect.example.com":
            return RedirectResponse("http://inside.svc/", status_code=302)
        return Response("inside", media_type="text/plain")

    hostile.world.script = script
    token = hostile.token()
    for function, body, run in actions():
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        path = "".join(f"%{byte:02X}" for byte in function.encode()) if not function.isalnum() else function
        answer = await hostile.http.post(f"/runs/{run or RUN}/tools/{path}", content=json.dumps(body), headers=headers)
        place = (function, body, run, answer.status_code, answer.text)
        assert answer.status_code in (400, 403, 404, 405, 410, 413) or answer.json()["isError"] is True, place
        assert KEY not in answer.text, place
        assert "inside" not in answer.text.replace("inside.svc", ""), place
    reached = {request.host for request in hostile.world.received}
    assert reached <= {"redirect.example.com"}
    reads = {name for verb, plural, name in hostile.kubernetes.reads if plural == SECRETS.plural}
    assert reads <= {"missing"}


async def test_the_same_agent_may_do_what_it_was_granted(hostile: Guard) -> None:
    assert not (await hostile.told({"city": "Oslo"}))[1]


async def test_an_instances_own_fetch_url_reaches_no_private_network_whatever_the_settings(hostile: Guard) -> None:
    agent = {"model": "m", "baseURL": "http://model/v1", "builtinTools": ["fetch_url"]}
    hostile.kubernetes.put(instance(agents={"default": agent}))
    hostile.made.forbidden._private = (ipaddress.ip_network("10.0.0.0/8"),)
    assert not (await hostile.told({"url": "http://inside.svc/"}, function="page"))[1], "the binding names the host"
    hostile.world.received.clear()
    text, is_error = await hostile.told({"url": "http://inside.svc/"}, function="fetch_url")
    assert is_error
    assert "private" in text
    assert not hostile.world.received

"""Tools and ToolBindings: names of functions, schemas, addresses, limits, and what cannot hold."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.crd_admission import admitted
from tests.unit.api.tools import binding, binding_manifest, tool, tool_manifest

from sympozium_api import agent_document, tool_check, tool_function
from sympozium_api.agent_document import AgentDocument, AgentLimits, OfferedTool
from sympozium_api.client import ApiError
from sympozium_api.rate_limit import CallRate, parse_rate
from sympozium_api.tool import FUNCTION_PATTERN
from sympozium_api.tool_address import AddressError, host_of
from sympozium_api.tool_schema import Parameters, SchemaError, parameters_text


@pytest.mark.parametrize(
    ("title", "function"),
    [
        ("Weather", "Weather"),
        ("get weather", "get_weather"),
        ("Look up: a customer!", "Look_up_a_customer"),
        ("Café", "Cafe"),
        ("a--b", "a--b"),
        ("天気", None),
        ("Wetter 天気", None),
        ("3 days", None),
        ("!!", None),
        ("x" * 65, None),
    ],
)
def test_a_title_yields_a_function_or_needs_a_hash(title: str, function: str | None) -> None:
    assert tool_function.of_title(title) == function


@given(st.text(min_size=1, max_size=200), st.text(max_size=20))
def test_every_title_yields_a_legal_function(title: str, name: str) -> None:
    for function in (tool_function.of_title(title), tool_function.with_hash(title, name)):
        assert function is None or re.fullmatch(FUNCTION_PATTERN, function), (title, function)


def test_functions_are_unique_and_the_oldest_tool_comes_first() -> None:
    tools = [
        tool("new", created="2026-01-02T00:00:00Z"),
        tool("old"),
        tool("explicit", created="2026-01-03T00:00:00Z", function="Weather"),
        tool("page", title="fetch url"),
        tool("own-page", builtin={"name": "fetch_url"}, title="fetch url"),
    ]
    assigned = tool_function.assign(tools)
    assert assigned["old"] == "Weather"
    assert re.fullmatch("Weather_[0-9a-f]{8}", str(assigned["new"]))
    assert assigned["explicit"] is None
    assert assigned["own-page"] == "fetch_url"
    assert re.fullmatch("fetch_url_[0-9a-f]{8}", str(assigned["page"]))


def test_a_tool_keeps_the_function_of_its_status_when_an_older_one_goes() -> None:
    first = tool_function.assign([tool("old"), tool("young", created="2026-01-02T00:00:00Z")])["young"]
    young = tool("young").model_copy(update={"status": tool().status.model_copy(update={"function": first})})
    assert tool_function.assign([young]) == {"young": first}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("[", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"type":"string"}', "its type must be object"),
        ("{}", "its type must be object"),
        ('{"type":"object","properties":{"a":{"type":"nothing"}}}', "not a valid JSON Schema at properties.a.type"),
        ('{"type":"object","properties":{"a":{"$ref":"https://x.example/s"}}}', "a $ref must stay within the schema"),
        ('{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}', "a $ref must stay within the schema"),
        ('{"type":"object","properties":{"a":{"$ref":"#/$defs/none"}}}', "not a valid JSON Schema"),
        ('{"type":"object","maximum":NaN}', "not JSON"),
        ('{"type":"object","description":"' + "x" * 32768 + '"}', "longer than 32768 bytes"),
        ('{"type":"object","a":' * 5000 + "1" + "}" * 5000, "longer than|too deeply|not a valid"),
        ('{"type":"object","a":' + '{"b":' * 4000 + "1" + "}" * 4000 + "}", "too deeply|not a valid"),
        ('{"type":"object","properties":{"a":{"pattern":"(?=x)"}}}', "not a valid JSON Schema"),
    ],
)
def test_a_schema_that_cannot_hold_says_why(schema: str, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason.replace("$", r"\$")):
        Parameters(schema)


def test_arguments_that_break_the_schema_are_told_without_their_values() -> None:
    parameters = Parameters('{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}')
    assert parameters.failure({"city": "Oslo"}) is None
    assert parameters.failure({}) == 'arguments: "city" is a required property'
    failure = parameters.failure({"city": 4711})
    assert failure is not None
    assert failure.startswith("arguments.city: ")
    assert "4711" not in failure


def test_no_pattern_makes_arguments_slow() -> None:
    parameters = Parameters('{"type":"object","properties":{"a":{"pattern":"^(a+)+$"}}}')
    assert parameters.failure({"a": "a" * 100_000 + "b"})


def test_text_keeps_the_order_and_without_a_schema_there_are_no_arguments() -> None:
    text = '{"type":"object","properties":{"z":{},"a":{}}}'
    assert parameters_text(tool(parametersText=text).spec) == text
    assert Parameters(parameters_text(tool().spec)).failure({"a": 1})
    fetch = Parameters(parameters_text(tool(builtin={"name": "fetch_url"}).spec))
    assert fetch.failure({"url": "https://example.com"}) is None
    assert fetch.failure({"url": "https://example.com", "method": "POST"})


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1/second", CallRate(1, 1)), ("10/minute", CallRate(10, 60)), ("2/hour", CallRate(2, 3600))],
)
def test_a_rate_limit_is_a_number_per_time(text: str, rate: CallRate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "0/minute", "1/week", "1 / minute", "-1/hour", "1/hours", "1000000/day", "1/hour\n"]
)
def test_another_rate_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number per second"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://API.example.com/v1?q=1", "api.example.com"),
        ("http://weather.tools.svc:8080/", "weather.tools.svc"),
        ("http://10.0.0.7/x", "10.0.0.7"),
        ("https://[2001:DB8::1]:8443/x", "2001:db8::1"),
        ("http://localhost", "localhost"),
    ],
)
def test_a_url_has_one_host(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "x",
            "//x",
            "ftp://x/",
            "file:///etc/passwd",
            "gopher://x",
            "javascript:x",
            "http:///x",
            "http://",
            "https:x",
        ),
        *("http://a@b/", "http://a:b@c/", "http://@b/", "http://a\\@b/", "http://a b/", "http://a\tb/", "http://a\n/"),
        *(
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://1.2.3/",
            "http://0/",
        ),
        *(
            "http://①②⑦.0.0.1/",
            "http://exämple.com/",
            "http://%31%32/",
            "http://a%2eb/",
            "http://ex.com./",
            "http://a..b/",
        ),
        *(
            "http://[fe80::1%25eth0]/",
            "http://[::1",
            "http://[::1]x/",
            "http://[v1.x]/",
            "http://a:99999/",
            "http://a:0/",
        ),
        *("http://a:b/", "http://-a/", "http://a-/", f"http://{'a' * 64}/", "http://" + "a." * 127 + "aa/"),
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(AddressError):
        host_of(url)


@pytest.mark.parametrize(
    ("spec", "reason", "field"),
    [
        ({"command": {}}, "NotSupported", "spec.command"),
        ({"signed": {}}, "NotSupported", "spec.signed"),
        ({"parameters": {"type": "string"}}, "InvalidParameters", "spec.parameters"),
        ({"parametersText": "{{"}, "InvalidParameters", "spec.parametersText"),
        ({"webhook": {"url": "http://127.1/"}}, "InvalidAddress", "spec.webhook.url"),
        ({"enabled": False}, "Disabled", "spec.enabled"),
    ],
)
def test_a_tool_that_cannot_hold_names_the_field(spec: dict[str, Any], reason: str, field: str) -> None:
    flaw = tool_check.of_tool(tool(**spec))
    assert flaw is not None
    assert (flaw.reason, flaw.message.partition(":")[0]) == (reason, field)
    assert tool_check.of_tool(tool(deprecated=True)) is None


@pytest.mark.parametrize(
    ("webhook", "spec", "reason", "field"),
    [
        ({}, {"allowedDomains": []}, "DomainNotAllowed", "spec.allowedDomains"),
        ({}, {"allowedDomains": ["example.com"]}, "DomainNotAllowed", "spec.allowedDomains"),
        ({}, {"secretKey": "K"}, "InvalidSpec", "spec.secretKey"),
        ({"auth": "apiKey"}, {}, "SecretNeeded", "spec.secretKey"),
        ({"auth": "oauth2"}, {}, "SecretNeeded", "spec.secretKey"),
    ],
)
def test_a_binding_that_cannot_hold_names_the_field(
    webhook: dict[str, Any], spec: dict[str, Any], reason: str, field: str
) -> None:
    url = {"url": "https://weather.example.com/v1"}
    flaw = tool_check.of_binding(binding(**spec), tool(webhook=url | webhook))
    assert flaw is not None
    assert (flaw.reason, flaw.message.partition(":")[0]) == (reason, field)
    assert tool_check.of_binding(binding(), tool()) is None


def test_a_builtin_tool_may_be_bound_without_hosts() -> None:
    assert tool_check.of_binding(binding(allowedDomains=[]), tool(builtin={"name": "fetch_url"})) is None


def refusal(plural: str, body: dict[str, Any]) -> str:
    try:
        admitted(plural, body["metadata"]["name"], body, None, strict=False, is_patch=False)
    except ApiError as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, ""),
        ({"webhook": {"url": "https://a@b/"}}, "without user information"),
        ({"webhook": {"url": "ftp://a/"}}, "write a URL"),
        ({"webhook": {"url": "https://a/", "auth": "oauth2"}}, ""),
        ({"builtin": {"name": "a skill's name"}}, ""),
        ({"webhook": {"url": "https://a/", "secretRef": "s"}}, "only allowed with auth"),
        ({"webhook": {"url": "https://a/"}, "builtin": {"name": "fetch_url"}}, "exactly one of webhook"),
        ({"command": {}, "builtin": {"name": "fetch_url"}}, "exactly one of webhook"),
        ({"function": "a b"}, "at most 64 characters"),
        ({"parameters": {}, "parametersText": "{}"}, "exclude each other"),
    ],
)
def test_the_api_server_refuses_a_tool_in_a_sentence(spec: dict[str, Any], words: str) -> None:
    found = refusal("tools", tool_manifest(**spec))
    assert words in found if words else not found


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, ""),
        ({"allowedDomains": ["*.example.com"]}, "exact host name"),
        ({"allowedDomains": ["a.com:80"]}, "exact host name"),
        ({"allowedDomains": ["A.com"]}, "exact host name"),
        ({"allowedDomains": ["a.com."]}, "exact host name"),
        ({"rateLimit": "0/day"}, "number per second"),
        ({"secretKey": "a/b"}, "entry of a Secret"),
    ],
)
def test_the_api_server_refuses_a_binding_in_a_sentence(spec: dict[str, Any], words: str) -> None:
    found = refusal("toolbindings", binding_manifest(**spec))
    assert words in found if words else not found


def test_an_agents_document_is_read_as_it_was_written() -> None:
    offered = OfferedTool(
        function="weather", description="d", parameters="{}", base_url="http://guard:8082", timeout_ms=15000
    )
    document = AgentDocument(tools=[offered], limits=AgentLimits(iterations=20, tool_calls=50))
    text = agent_document.render(document)
    assert agent_document.of_config_map({"data": {"agent.json": text}}) == document
    assert '"timeoutMs":15000' in text
    assert agent_document.of_config_map({"data": {"agent.json": "{"}}) is None
    assert agent_document.of_config_map(None) is None

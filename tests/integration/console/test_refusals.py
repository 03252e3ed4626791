"""Refusals of wrong requests, and of requests that the API server refuses or cannot answer."""

import asyncio
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.kubernetes import api_error
from tests.integration.conftest import listening
from tests.integration.console.conftest import DEMO, SPEC, Console, error, run
from tests.integration.console.test_newest_runs import indexing

from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import INSTANCES, RUNS, Object
from sympozium_console.console_app import create_app
from sympozium_console.console_limits import ConsoleLimits


class TestWrongRequests:
    @pytest.mark.parametrize(
        ("path", "named"),
        [
            ("/api/v1/instances?label=x", "label"),
            ("/api/v1/instances?limit=0", "limit"),
            ("/api/v1/instances?limit=501", "limit"),
            ("/api/v1/instances?namespace=../x", "namespace"),
            ("/api/v1/instances/demo?namespace=", "namespace"),
            ("/api/v1/instances/demo?watch=true", "watch"),
            ("/api/v1/instances/UPPER", "name"),
            ("/api/v1/instances/a%3Fb", "name"),
            ("/api/v1/runs?phase=Done", "phase"),
            ("/api/v1/runs?instance=a,b", "instance"),
            ("/api/v1/runs?source=a%3Db", "source"),
            ("/api/v1/runs/x/events?follow=1", "follow"),
            ("/api/v1/skills?limit=3", "limit"),
        ],
    )
    async def test_an_unknown_or_wrong_parameter_is_named(self, console: Console, path: str, named: str) -> None:
        refused = error(await console.request("GET", path), 400)
        assert [field["field"] for field in refused["fields"]] == [named]
        assert named in refused["message"]
        assert console.kubernetes.reads == []

    @pytest.mark.parametrize(
        ("method", "body", "status", "named"),
        [
            ("PATCH", {"webEndpoint": {"enabld": True}}, 400, "spec.webEndpoint.enabld"),
            ("PATCH", {"nonsense": 1}, 400, "spec.nonsense"),
            ("PATCH", {"resourceVersion": 7}, 400, "resourceVersion"),
            ("PATCH", {"webEndpoint": {"replicas": 0}}, 422, "spec.webEndpoint.replicas"),
            ("PATCH", {"agents": None}, 422, "spec.agents"),
            ("PUT", {"spec": SPEC, "extra": 1}, 400, "extra"),
            ("PUT", {"metadata": {"name": "other"}, "spec": SPEC}, 400, "metadata.name"),
            ("PUT", {"metadata": {"namespace": "other"}, "spec": SPEC}, 400, "metadata.namespace"),
            ("PUT", {"metadata": [], "spec": SPEC}, 400, "metadata"),
            ("PUT", {}, 422, "spec"),
        ],
    )
    async def test_an_unknown_or_wrong_field_is_named(
        self, console: Console, method: str, body: Object, status: int, named: str
    ) -> None:
        refused = error(await console.request(method, DEMO, json=body), status)
        assert [field["field"] for field in refused["fields"]] == [named]
        assert len(refused["message"]) < 200
        assert console.kubernetes.writes == []

    @pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b"[" * 50_000, b'{"a": NaN}', b'{"a": "\\ud800"}', b""])
    async def test_a_body_that_is_not_a_json_object_is_refused(self, console: Console, content: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        assert error(await console.request("PATCH", DEMO, content=content, headers=headers), 400)

    async def test_a_body_that_breaks_off_is_refused_with_its_place(self, console: Console) -> None:
        headers = {"Content-Type": "application/json"}
        refused = await console.request("PATCH", DEMO, content=b"{", headers=headers)
        assert "line 1 column 2" in error(refused, 400)["message"]

    async def test_a_body_over_the_limit_or_of_another_media_type_is_refused(self, console: Console) -> None:
        large = {"memory": {"systemPrompt": "x" * 70_000}}
        assert error(await console.request("PATCH", DEMO, json=large), 413)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert error(await console.request("PUT", DEMO, content=b"{}", headers=form), 415)
        merge = {"Content-Type": "application/merge-patch+json"}
        patched = await console.request("PATCH", DEMO, content=b'{"maxQueuedRuns": 2}', headers=merge)
        assert patched.status_code == 200

    async def test_an_unknown_route_is_refused_in_the_same_shape(self, console: Console) -> None:
        assert error(await console.request("GET", "/api/v1/nothing"), 404)["reason"] == "NotFound"
        refused = await console.request("DELETE", "/api/v1/instances")
        assert error(refused, 405)["reason"] == "MethodNotAllowed"
        assert refused.headers["allow"] == "GET"
        assert "use GET, or GET or PUT or PATCH or DELETE with a name at /api/v1/instances/..." in refused.text


WORDS = st.sampled_from(["demo", "default", "w1", "", "..", "a/b", "7", "Pending", "x" * 300]) | st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["webEndpoint", "skills", "agents", "memory", "resourceVersion", "maxQueuedRuns"]) | WORDS
PARAMETERS = (
    st.sampled_from(
        ["namespace", "limit", "continue", "instance", "phase", "source", "from", "to", "offset", "order", "before"]
    )
    | WORDS
)


ANSWERED_WITHIN = 60
"""Seconds for one request: without them a hanging one would be tried again, ten minutes each, to make it shorter."""
ENDLESS = "/api/v1/watch"
"""Route of a stream without an end, whose refusals have tests of their own."""


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_request_causes_an_internal_error(console: Console, data: st.DataObject) -> None:
    """Every request to a described route is answered as described, or refused in the one shape of refusals."""
    console.kubernetes.put(run("w1", phase="Succeeded"))
    description = (await console.request("GET", "/openapi.json")).json()
    path = data.draw(st.sampled_from(sorted(description["paths"].keys() - {ENDLESS})))
    method = data.draw(st.sampled_from(sorted(description["paths"][path])))
    fields = data.draw(st.dictionaries(FIELDS, VALUES, max_size=3))
    body = {"json": {"spec": fields} if method == "put" else fields} if method in ("put", "patch") else {}
    name = quote(data.draw(WORDS), safe="")
    address = path.replace("{name}", name).replace("{id}", name)
    query = data.draw(st.dictionaries(PARAMETERS, WORDS, max_size=2))
    async with asyncio.timeout(ANSWERED_WITHIN), indexing(console):
        response = await console.request(method.upper(), address, params=query, **body)
    if response.status_code >= 400:
        refused = error(response, response.status_code)
        assert response.status_code < 500 or refused["reason"] == "Reading"  # no loop reads the instances here


class TestCodes:
    @pytest.mark.parametrize(
        ("method", "path", "options", "code"),
        [
            ("GET", f"{DEMO}?nonsense=1", {}, "INVALID_REQUEST"),
            ("GET", DEMO, {"headers": {"Authorization": "Bearer wrong"}}, "UNAUTHORIZED"),
            ("GET", "/api/v1/instances/absent", {}, "NOT_FOUND"),
            ("DELETE", "/api/v1/instances", {}, "METHOD_NOT_ALLOWED"),
            ("PUT", DEMO, {"json": {"metadata": {"resourceVersion": "99"}, "spec": SPEC}}, "CONFLICT"),
            ("PATCH", DEMO, {"json": {}, "headers": {"If-None-Match": "*"}}, "PRECONDITION_FAILED"),
            ("PATCH", DEMO, {"json": {"memory": {"systemPrompt": "x" * 70_000}}}, "TOO_LARGE"),
            ("PATCH", DEMO, {"content": b"x"}, "UNSUPPORTED_MEDIA_TYPE"),
            ("PATCH", DEMO, {"json": {"webEndpoint": {"replicas": 0}}}, "INVALID_REQUEST"),
        ],
    )
    async def test_a_refusal_has_the_code_of_its_kind(
        self, console: Console, method: str, path: str, options: Object, code: str
    ) -> None:
        response = await console.request(method, path, **options)
        assert error(response, response.status_code)["code"] == code

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (403, "FORBIDDEN"),
            (418, "INVALID_REQUEST"),
            (429, "RATE_LIMITED"),
            (500, "INTERNAL_ERROR"),
            (504, "UNAVAILABLE"),
        ],
    )
    async def test_a_refusal_by_kubernetes_has_the_code_of_its_status(
        self, console: Console, status: int, code: str
    ) -> None:
        console.kubernetes.refuse("list", INSTANCES, api_error(status, "Any", "in its own words"))
        assert error(await console.request("GET", "/api/v1/instances"), status)["code"] == code

    async def test_a_request_with_an_endless_head_is_refused_in_the_same_shape(self, console: Console) -> None:
        async with (
            listening(create_app(console.context), http=ConsoleLimits) as url,
            httpx2.AsyncClient(base_url=url) as http,
        ):
            refused = error(await http.get("/api/v1/runs", headers={"x-long": "x" * 70_000}), 431)
        assert (refused["code"], refused["reason"]) == ("TOO_LARGE", "HeadersTooLarge")


class TestRefusalsByKubernetes:
    @pytest.mark.parametrize(
        ("status", "reason"), [(403, "Forbidden"), (409, "Conflict"), (410, "Expired"), (422, "Invalid")]
    )
    async def test_a_refusal_keeps_status_reason_and_message_of_kubernetes(
        self, console: Console, status: int, reason: str
    ) -> None:
        console.kubernetes.refuse("list", INSTANCES, api_error(status, reason, "in its own words"))
        refused = error(await console.request("GET", "/api/v1/instances"), status)
        assert (refused["reason"], refused["message"]) == (reason, "in its own words")

    async def test_an_unreachable_api_server_is_a_503_with_retry_after(self, console: Console) -> None:
        for verb, kind, method, path in (
            ("get", INSTANCES, "GET", DEMO),
            ("patch", INSTANCES, "PATCH", DEMO),
            ("list", RUNS, "GET", "/api/v1/runs"),
        ):
            console.kubernetes.refuse(verb, kind, ApiUnavailable("connection refused"))
            refused = await console.request(method, path, **({"json": {}} if method == "PATCH" else {}))
            assert error(refused, 503)["reason"] == "ServiceUnavailable"
            assert int(refused.headers["retry-after"]) > 0

"""The management API as it runs in its pod: on a real socket, in front of an API server in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, Object, api_error
from tests.integration.conftest import eventually, instance, listening

from sympozium_api import names
from sympozium_api.client import ApiUnavailable
from sympozium_api.client.resources import INSTANCES, RUNS
from sympozium_console.app import create_app
from sympozium_console.context import Context, assemble
from sympozium_console.settings import Settings

DEMO = "/api/v1/instances/demo"
SPEC = {"agents": {"default": {"model": "m"}}}


@dataclass
class Console:
    """One running console, and the world around it."""

    kubernetes: FakeKubernetes
    http: httpx2.AsyncClient
    context: Context
    clock: FakeClock
    tokens: Path

    async def asks(self, method: str, path: str, **request: Any) -> httpx2.Response:
        return await self.http.request(method, path, **request)

    def instance(self, name: str = "demo") -> Object:
        return self.kubernetes.object(INSTANCES, name)


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    (tmp_path / "token").write_text("secret\n")
    kubernetes, clock = FakeKubernetes(), FakeClock()
    kubernetes.documents["/version"] = {"gitVersion": "fake"}
    kubernetes.put(instance())
    told = Settings("sympozium-system", tokens=tmp_path, keep_alive_seconds=0.2, max_body_bytes=64 * 1024)
    context = assemble(kubernetes, told, clock)
    async with (
        listening(create_app(context)) as url,
        httpx2.AsyncClient(base_url=url, timeout=10, headers={"Authorization": "Bearer secret"}) as http,
    ):
        yield Console(kubernetes, http, context, clock, tmp_path)


def run(name: str, *, instance: str = "demo", namespace: str = "default", phase: str = "", **spec: object) -> Object:
    status = {"status": {"phase": phase, "result": "Hello"}} if phase else {}
    labels = {names.LABEL_SOURCE: "web-proxy"} if name.startswith("w") else {}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "managedFields": [{"manager": "x"}]},
        "spec": {"agentRef": instance, "mode": "task", "request": {"messages": []}} | spec,
        **status,
    }


def error(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    found: dict[str, Any] = response.json()["error"]
    assert found.keys() == {"reason", "message", "fields"}
    assert found["message"]
    return found


class TestWhoMayCall:
    @pytest.mark.parametrize("authorization", ["", "Bearer wrong", "secret", "Basic secret", "Bearer"])
    async def test_without_a_token_nothing_is_told_or_done(self, console: Console, authorization: str) -> None:
        for method, path in (("GET", "/api/v1/instances"), ("DELETE", DEMO), ("PATCH", f"{DEMO}?nonsense=1")):
            refused = await console.asks(method, path, headers={"Authorization": authorization})
            assert error(refused, 401)["reason"] == "Unauthorized"
            assert refused.headers["www-authenticate"] == "Bearer"
        assert console.kubernetes.reads == []
        assert console.kubernetes.writes == []

    async def test_tokens_are_rotated_without_a_restart(self, console: Console) -> None:
        assert (await console.asks("GET", DEMO)).status_code == 200
        (console.tokens / "token-new").write_text("fresh")
        (console.tokens / "token").unlink()
        console.clock.advance(2)
        assert (await console.asks("GET", DEMO)).status_code == 401
        assert (await console.asks("GET", DEMO, headers={"Authorization": "Bearer fresh"})).status_code == 200


class TestHealth:
    async def test_it_is_ready_as_long_as_the_api_server_answers(self, console: Console) -> None:
        assert (await console.asks("GET", "/healthz")).json() == {"status": "ok"}
        assert (await console.asks("GET", "/readyz")).json() == {"status": "ok"}
        console.kubernetes.documents.clear()
        away = await console.asks("GET", "/readyz")
        assert (away.status_code, away.json()["reason"]) == (503, "API server unreachable")

    async def test_it_is_not_ready_while_it_ends(self, console: Console) -> None:
        console.context.draining.set()
        assert (await console.asks("GET", "/readyz")).json() == {"status": "unavailable", "reason": "draining"}

    async def test_requests_are_counted_by_route_and_not_by_name(self, console: Console) -> None:
        await console.asks("GET", DEMO)
        text = (await console.asks("GET", "/metrics")).text
        counted = 'sympozium_http_requests_total{route="/api/v1/instances/{name}",status="200"} 1.0'
        assert counted in text
        assert "demo" not in text


class TestReadingInstances:
    async def test_one_is_what_kubernetes_has_without_the_managers(self, console: Console) -> None:
        console.kubernetes.put(instance() | {"metadata": {"name": "demo", "managedFields": [{"manager": "kubectl"}]}})
        response = await console.asks("GET", DEMO)
        stored = console.instance()
        assert response.json()["spec"] == stored["spec"]
        assert "managedFields" not in response.text
        assert response.headers["etag"] == f'"{stored["metadata"]["resourceVersion"]}"'

    async def test_pages_hold_all_of_them_once_in_the_order_of_their_names(self, console: Console) -> None:
        for number in range(44):
            found = instance() | {"metadata": {"name": f"i{number:02}", "namespace": "other"}}
            console.kubernetes.put(found)
        listed, place, sizes = [], "", []
        while True:
            response = await console.asks("GET", "/api/v1/instances", params={"limit": 30, "continue": place})
            page = response.json()
            assert page["kind"] == "SympoziumInstanceList"
            sizes.append(len(page["items"]))
            listed += [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in page["items"]]
            if not (place := page["metadata"].get("continue", "")):
                break
            assert page["metadata"]["remainingItemCount"] == 45 - len(listed)
        assert sizes == [30, 15]
        assert listed == sorted(set(listed))
        assert len(listed) == 45

    async def test_a_namespace_that_is_left_out_or_empty_is_all_of_them(self, console: Console) -> None:
        console.kubernetes.put(instance() | {"metadata": {"name": "b", "namespace": "other"}})
        found = {
            query: len((await console.asks("GET", f"/api/v1/instances{query}")).json()["items"])
            for query in ("", "?namespace=", "?namespace=other", "?namespace=none")
        }
        assert list(found.values()) == [2, 2, 1, 0]

    async def test_one_that_is_not_there_is_not_found(self, console: Console) -> None:
        assert error(await console.asks("GET", "/api/v1/instances/absent"), 404)["reason"] == "NotFound"
        assert error(await console.asks("GET", f"{DEMO}?namespace=other"), 404)["reason"] == "NotFound"
        assert error(await console.asks("GET", f"{DEMO}/web-endpoint?namespace=other"), 404)["reason"] == "NotFound"


class TestChangingInstances:
    async def test_a_patch_changes_fields_of_the_spec_and_leaves_the_others(self, console: Console) -> None:
        before = console.instance()["spec"]
        response = await console.asks("PATCH", DEMO, json={"webEndpoint": {"enabled": True}, "maxQueuedRuns": 3})
        assert response.status_code == 200
        assert response.json()["spec"]["webEndpoint"] == {**before["webEndpoint"], "enabled": True}
        assert console.instance()["spec"] == response.json()["spec"]
        assert console.instance()["spec"]["agents"] == before["agents"]
        await console.asks("PATCH", DEMO, json={"maxQueuedRuns": None, "skills": []})
        assert "maxQueuedRuns" not in console.instance()["spec"]
        assert console.instance()["spec"]["skills"] == []

    async def test_put_makes_and_then_replaces(self, console: Console) -> None:
        made = await console.asks("PUT", "/api/v1/instances/fresh?namespace=other", json={"spec": SPEC})
        assert made.status_code == 201
        assert made.json()["metadata"]["namespace"] == "other"
        body = made.json() | {"spec": SPEC | {"maxQueuedRuns": 7}}
        replaced = await console.asks("PUT", "/api/v1/instances/fresh?namespace=other", json=body)
        assert replaced.status_code == 200
        assert replaced.headers["etag"] != made.headers["etag"]
        assert replaced.json()["spec"]["maxQueuedRuns"] == 7

    async def test_put_keeps_what_was_read_and_sent_back(self, console: Console) -> None:
        """Finalizers and owners are not the console's to drop."""
        metadata = {"name": "demo", "finalizers": ["example.com/hold"], "labels": {"team": "a"}}
        console.kubernetes.put(instance() | {"metadata": metadata})
        await console.asks("PUT", DEMO, json=(await console.asks("GET", DEMO)).json())
        assert console.instance()["metadata"]["finalizers"] == ["example.com/hold"]
        assert console.instance()["metadata"]["labels"] == {"team": "a"}

    async def test_delete_removes_it(self, console: Console) -> None:
        assert (await console.asks("DELETE", DEMO)).status_code == 204
        assert console.kubernetes.names(INSTANCES) == []
        assert error(await console.asks("DELETE", DEMO), 404)["reason"] == "NotFound"


class TestOptimisticConcurrency:
    STALE = {"If-Match": '"0"'}

    async def test_who_changes_an_older_version_by_its_resource_version_gets_409(self, console: Console) -> None:
        body = (await console.asks("GET", DEMO)).json()
        await console.asks("PATCH", DEMO, json={"maxQueuedRuns": 1})
        assert error(await console.asks("PUT", DEMO, json=body), 409)["reason"] == "Conflict"
        stale = {"resourceVersion": body["metadata"]["resourceVersion"], "maxQueuedRuns": 2}
        assert error(await console.asks("PATCH", DEMO, json=stale), 409)["reason"] == "Conflict"
        assert console.instance()["spec"]["maxQueuedRuns"] == 1

    async def test_who_changes_an_older_version_by_its_entity_tag_gets_412(self, console: Console) -> None:
        current = (await console.asks("GET", DEMO)).headers["etag"]
        for method, request in (("PUT", {"json": {"spec": SPEC}}), ("PATCH", {"json": {}}), ("DELETE", {})):
            refused = await console.asks(method, DEMO, headers=self.STALE, **request)
            assert error(refused, 412)["reason"] == "PreconditionFailed"
            assert current in refused.json()["error"]["message"]
        assert console.kubernetes.writes == []
        assert (await console.asks("DELETE", DEMO, headers={"If-Match": f'"0", {current}'})).status_code == 204

    @pytest.mark.parametrize(("method", "verb"), [("PUT", "replace"), ("PATCH", "patch"), ("DELETE", "delete")])
    async def test_a_change_between_the_look_and_the_write_is_a_failed_precondition(
        self, console: Console, method: str, verb: str
    ) -> None:
        current = (await console.asks("GET", DEMO)).headers["etag"]
        console.kubernetes.meanwhile(verb, INSTANCES, lambda: console.kubernetes.put(instance(maxQueuedRuns=5)))
        request = {} if method == "DELETE" else {"json": {"spec": SPEC} if method == "PUT" else {"maxQueuedRuns": 6}}
        assert error(await console.asks(method, DEMO, headers={"If-Match": current}, **request), 412)
        assert console.instance()["spec"]["maxQueuedRuns"] == 5

    @pytest.mark.parametrize(("method", "verb"), [("PUT", "replace"), ("PATCH", "patch"), ("DELETE", "delete")])
    async def test_any_version_is_any_version(self, console: Console, method: str, verb: str) -> None:
        reported = instance() | {"status": {"phase": "Running"}}
        console.kubernetes.meanwhile(verb, INSTANCES, lambda: console.kubernetes.put(reported))
        request = {} if method == "DELETE" else {"json": {"spec": SPEC} if method == "PUT" else {"maxQueuedRuns": 6}}
        done = await console.asks(method, DEMO, headers={"If-Match": "*"}, **request)
        assert done.status_code < 300, done.text

    async def test_without_a_version_the_operator_never_comes_between(self, console: Console) -> None:
        reported = instance() | {"status": {"phase": "Running"}}
        console.kubernetes.meanwhile("replace", INSTANCES, lambda: console.kubernetes.put(reported))
        replaced = await console.asks("PUT", DEMO, json={"spec": SPEC})
        assert replaced.status_code == 200
        assert console.instance()["spec"] == SPEC
        assert console.instance()["status"] == {"phase": "Running"}

    async def test_what_must_not_be_there_and_what_must(self, console: Console) -> None:
        body = {"json": {"spec": SPEC}}
        assert error(await console.asks("PUT", DEMO, headers={"If-None-Match": "*"}, **body), 412)
        absent = "/api/v1/instances/absent"
        assert error(await console.asks("PUT", absent, headers={"If-Match": "*"}, **body), 412)
        gone = {"json": {"metadata": {"resourceVersion": "7"}, "spec": SPEC}}
        assert error(await console.asks("PUT", absent, **gone), 409)
        assert (await console.asks("PUT", absent, headers={"If-None-Match": "*"}, **body)).status_code == 201
        assert (await console.asks("PUT", absent, headers={"If-Match": "*"}, **body)).status_code == 200

    @pytest.mark.parametrize("headers", [{"If-Match": "123"}, {"If-Match": ""}, {"If-None-Match": '"1"'}])
    async def test_a_precondition_that_cannot_be_read_is_not_passed_over(
        self, console: Console, headers: dict[str, str]
    ) -> None:
        refused = error(await console.asks("PUT", DEMO, headers=headers, json={"spec": SPEC}), 400)
        assert refused["fields"][0]["field"] in headers


class TestWhatIsWrong:
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
    async def test_a_parameter_that_is_unknown_or_wrong_is_named(self, console: Console, path: str, named: str) -> None:
        refused = error(await console.asks("GET", path), 400)
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
    async def test_a_field_that_is_unknown_or_wrong_is_named(
        self, console: Console, method: str, body: Object, status: int, named: str
    ) -> None:
        refused = error(await console.asks(method, DEMO, json=body), status)
        assert [field["field"] for field in refused["fields"]] == [named]
        assert len(refused["message"]) < 200
        assert console.kubernetes.writes == []

    @pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b"[" * 50_000, b'{"a": NaN}', b'{"a": "\\ud800"}', b""])
    async def test_what_is_no_json_object_is_refused(self, console: Console, content: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        assert error(await console.asks("PATCH", DEMO, content=content, headers=headers), 400)

    async def test_a_body_is_bounded_and_says_what_it_is(self, console: Console) -> None:
        large = {"memory": {"systemPrompt": "x" * 70_000}}
        assert error(await console.asks("PATCH", DEMO, json=large), 413)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert error(await console.asks("PUT", DEMO, content=b"{}", headers=form), 415)
        merge = {"Content-Type": "application/merge-patch+json"}
        patched = await console.asks("PATCH", DEMO, content=b'{"maxQueuedRuns": 2}', headers=merge)
        assert patched.status_code == 200

    async def test_an_unknown_address_has_an_error_of_the_same_shape(self, console: Console) -> None:
        assert error(await console.asks("GET", "/api/v1/nothing"), 404)["reason"] == "NotFound"
        refused = await console.asks("DELETE", "/api/v1/instances")
        assert error(refused, 405)["reason"] == "MethodNotAllowed"
        assert refused.headers["allow"] == "GET"


WORDS = st.sampled_from(["demo", "default", "w1", "", "..", "a/b", "7", "Pending", "x" * 300]) | st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["webEndpoint", "skills", "agents", "memory", "resourceVersion", "maxQueuedRuns"]) | WORDS
PARAMETERS = st.sampled_from(["namespace", "limit", "continue", "instance", "phase", "source"]) | WORDS


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_request_is_answered_by_a_bug(console: Console, data: st.DataObject) -> None:
    """Whatever is sent to whatever is described is answered as described, or refused in the one shape of errors."""
    console.kubernetes.put(run("w1", phase="Succeeded"))
    description = (await console.asks("GET", "/openapi.json")).json()
    path = data.draw(st.sampled_from(sorted(description["paths"])))
    method = data.draw(st.sampled_from(sorted(description["paths"][path])))
    fields = data.draw(st.dictionaries(FIELDS, VALUES, max_size=3))
    body = {"json": {"spec": fields} if method == "put" else fields} if method in ("put", "patch") else {}
    address = path.replace("{name}", quote(data.draw(WORDS), safe=""))
    query = data.draw(st.dictionaries(PARAMETERS, WORDS, max_size=2))
    response = await console.asks(method.upper(), address, params=query, **body)
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        error(response, response.status_code)


class TestWhatKubernetesSays:
    @pytest.mark.parametrize(
        ("status", "reason"), [(403, "Forbidden"), (409, "Conflict"), (410, "Expired"), (422, "Invalid")]
    )
    async def test_its_refusals_keep_status_reason_and_message(
        self, console: Console, status: int, reason: str
    ) -> None:
        console.kubernetes.refuse("list", INSTANCES, api_error(status, reason, "in its own words"))
        refused = error(await console.asks("GET", "/api/v1/instances"), status)
        assert (refused["reason"], refused["message"]) == (reason, "in its own words")

    async def test_while_it_is_away_callers_are_told_when_to_come_back(self, console: Console) -> None:
        for verb, kind, method, path in (
            ("get", INSTANCES, "GET", DEMO),
            ("patch", INSTANCES, "PATCH", DEMO),
            ("list", RUNS, "GET", "/api/v1/runs"),
        ):
            console.kubernetes.refuse(verb, kind, ApiUnavailable("connection refused"))
            refused = await console.asks(method, path, **({"json": {}} if method == "PATCH" else {}))
            assert error(refused, 503)["reason"] == "ServiceUnavailable"
            assert int(refused.headers["retry-after"]) > 0

    async def test_its_doubts_about_the_console_are_not_the_callers(self, console: Console) -> None:
        console.kubernetes.refuse("get", INSTANCES, api_error(401, "Unauthorized"))
        assert error(await console.asks("GET", DEMO), 503)


async def test_the_web_endpoint_as_it_is(console: Console) -> None:
    off: Object = {
        "enabled": False,
        "deploymentName": None,
        "serviceName": None,
        "gatewayReady": False,
        "authSecretName": None,
        "url": None,
        "phase": None,
        "conditions": [],
    }
    console.kubernetes.put(instance(skills=[]))
    assert (await console.asks("GET", f"{DEMO}/web-endpoint")).json() == off
    await console.asks("PATCH", DEMO, json={"webEndpoint": {"enabled": True}})
    assert (await console.asks("GET", f"{DEMO}/web-endpoint")).json() == off | {"enabled": True}

    condition: Object = {"type": "WebEndpointReady", "status": "True", "reason": "Serving", "message": ""}
    condition |= {"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 2}
    reported = {
        "enabled": True,
        "deploymentName": "demo-web-endpoint-server",
        "serviceName": "demo-web-endpoint-server",
        "gatewayReady": False,
        "authSecretName": "demo-web-endpoint-web-api-key",
        "url": "http://demo-web-endpoint-server.default.svc:8080",
    }
    status = {"phase": "Serving", "webEndpoint": reported, "conditions": [condition]}
    console.kubernetes.put(instance() | {"status": status})
    on = (await console.asks("GET", f"{DEMO}/web-endpoint")).json()
    assert on == reported | {"phase": "Serving", "conditions": [condition]}


class TestRuns:
    @pytest.fixture(autouse=True)
    def _some(self, console: Console) -> None:
        for found in (
            run("w1", phase="Succeeded"),
            run("w2", phase="Running"),
            run("k1", instance="other"),
            run("k2", phase="Pending", namespace="space"),
            run("demo-web-endpoint", phase="Serving", mode="server"),
        ):
            console.kubernetes.put(found)

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", ["demo-web-endpoint", "k1", "w1", "w2", "k2"]),
            ("?namespace=space", ["k2"]),
            ("?instance=other", ["k1"]),
            ("?phase=Succeeded", ["w1"]),
            ("?phase=Pending", ["k1", "k2"]),
            ("?source=web-proxy", ["w1", "w2"]),
            ("?source=web-proxy&phase=Running&instance=demo&namespace=default", ["w2"]),
            ("?limit=1", ["demo-web-endpoint"]),
        ],
    )
    async def test_a_list_has_the_runs_that_were_asked_for(
        self, console: Console, query: str, expected: list[str]
    ) -> None:
        listed = (await console.asks("GET", f"/api/v1/runs{query}")).json()
        assert [item["metadata"]["name"] for item in listed["items"]] == expected

    async def test_a_list_is_without_content_and_one_is_whole(self, console: Console) -> None:
        applied = {"kubectl.kubernetes.io/last-applied-configuration": "all of it", "kept": "yes"}
        console.kubernetes.put(run("w1", phase="Succeeded") | {"metadata": {"name": "w1", "annotations": applied}})
        listed = (await console.asks("GET", "/api/v1/runs?phase=Succeeded")).json()["items"][0]
        assert listed["metadata"]["annotations"] == {"kept": "yes"}
        assert listed["spec"] == {"agentRef": "demo", "mode": "task"}
        assert listed["status"] == {"phase": "Succeeded"}
        one = (await console.asks("GET", "/api/v1/runs/w1")).json()
        assert one["spec"]["request"] == {"messages": []}
        assert one["status"]["result"] == "Hello"
        assert "managedFields" not in one["metadata"]

    async def test_one_is_deleted(self, console: Console) -> None:
        assert (await console.asks("DELETE", "/api/v1/runs/w1")).status_code == 204
        assert error(await console.asks("GET", "/api/v1/runs/w1"), 404)
        assert error(await console.asks("DELETE", "/api/v1/runs/w1"), 404)

    async def test_one_that_goes_on_is_cancelled_however_often(self, console: Console) -> None:
        for _ in range(2):
            accepted = await console.asks("POST", "/api/v1/runs/w2/cancel")
            assert (accepted.status_code, accepted.json()["spec"]["cancel"]) == (202, True)
        assert console.kubernetes.writes == [("patch", "agentruns", "w2")]

    @pytest.mark.parametrize(
        ("name", "reason", "word"), [("w1", "RunEnded", "Succeeded"), ("demo-web-endpoint", "ServerRun", "demo")]
    )
    async def test_one_that_has_ended_or_serves_is_not_cancelled(
        self, console: Console, name: str, reason: str, word: str
    ) -> None:
        refused = error(await console.asks("POST", f"/api/v1/runs/{name}/cancel"), 409)
        assert refused["reason"] == reason
        assert word in refused["message"]
        assert console.kubernetes.writes == []


class Stream:
    """Server-sent events as they come."""

    def __init__(self, response: httpx2.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, Object] | None:
        """Type and data of the next event, ``("", {})`` for a comment; None: the stream has ended."""
        frame: list[str] = []
        async with asyncio.timeout(5):
            async for line in self._lines:
                if not line:
                    break
                frame.append(line)
        if not frame:
            return None
        fields = dict(line.split(": ", 1) for line in frame)
        return (fields["event"], json.loads(fields["data"])) if "event" in fields else ("", {})

    async def event(self) -> tuple[str, Object] | None:
        """The next that is no comment."""
        while (found := await self.next()) == ("", {}):
            pass
        return found


class TestFollowing:
    @asynccontextmanager
    async def followed(self, console: Console, name: str = "w1") -> AsyncIterator[Stream]:
        async with console.http.stream("GET", f"/api/v1/runs/{name}/events") as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            yield Stream(response)

    def watches(self, console: Console) -> Iterator[str]:
        return (plural for plural, *_ in console.kubernetes._watches)

    async def test_every_status_is_told_until_the_run_has_ended(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with self.followed(console) as stream:
            assert await stream.event() == ("status", {})
            console.kubernetes.put(run("w1", phase="Running"))
            assert await stream.event() == ("status", {"phase": "Running", "result": "Hello"})
            console.kubernetes.put(run("w1", phase="Running", cancel=True))  # not a change of its status
            console.kubernetes.put(run("w1", phase="Cancelled"))
            assert await stream.event() == ("status", {"phase": "Cancelled", "result": "Hello"})
            assert await stream.event() is None
        await eventually(lambda: not list(self.watches(console)))

    async def test_one_that_has_ended_is_told_at_once(self, console: Console) -> None:
        console.kubernetes.put(run("w1", phase="Succeeded"))
        async with self.followed(console) as stream:
            assert await stream.event() == ("status", {"phase": "Succeeded", "result": "Hello"})
            assert await stream.event() is None

    async def test_kubernetes_events_of_the_run_are_told(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        about = {"kind": "AgentRun", "name": "w1"}
        warning: Object = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "w1.1"}, "involvedObject": about}
        warning |= {"type": "Warning", "reason": "StartFailed", "message": "no room", "count": 1}
        async with self.followed(console) as stream:
            assert await stream.event() == ("status", {})
            await eventually(lambda: "events" in self.watches(console))
            console.kubernetes.put(warning | {"metadata": {"name": "x.1"}, "involvedObject": about | {"name": "x"}})
            console.kubernetes.put(warning)
            expected = {"type": "Warning", "reason": "StartFailed", "message": "no room", "count": 1}
            assert await stream.event() == ("event", expected | {"lastTimestamp": None})

    async def test_the_terminal_status_is_the_last_word(self, console: Console) -> None:
        about = {"kind": "AgentRun", "name": "w1"}
        for number in range(3):
            event: Object = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"w1.{number}"}}
            console.kubernetes.put(event | {"involvedObject": about, "reason": f"R{number}"})
        console.kubernetes.put(run("w1", phase="Failed"))
        async with self.followed(console) as stream:
            told = [await stream.event() for _ in range(5)]
        assert [found[1].get("reason") for found in told[:3] if found] == ["R0", "R1", "R2"]
        assert told[3:] == [("status", {"phase": "Failed", "result": "Hello"}), None]

    async def test_silence_is_filled_and_a_deleted_run_ends_it(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with self.followed(console) as stream:
            assert await stream.next() == ("status", {})
            assert await stream.next() == ("", {})
            console.kubernetes.remove(RUNS, "w1")
            assert await stream.event() == ("deleted", {"namespace": "default", "name": "w1"})
            assert await stream.event() is None

    async def test_who_leaves_takes_the_watches_along(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with self.followed(console) as stream:
            await stream.event()
            await eventually(lambda: sorted(self.watches(console)) == ["agentruns", "events"])
        await eventually(lambda: not list(self.watches(console)))

    async def test_a_console_that_ends_does_not_wait_for_runs(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with self.followed(console) as stream:
            await stream.event()
            console.context.draining.set()
            assert await stream.event() is None

    async def test_a_gap_is_bridged(self, console: Console) -> None:
        console.kubernetes.put(run("w1"))
        async with self.followed(console) as stream:
            await stream.event()
            await eventually(lambda: "agentruns" in self.watches(console))
            console.kubernetes.expire_watches()
            console.kubernetes.put(run("w1", phase="Failed"))
            assert await stream.event() == ("status", {"phase": "Failed", "result": "Hello"})

    async def test_one_that_is_not_there_is_not_found(self, console: Console) -> None:
        assert error(await console.asks("GET", "/api/v1/runs/absent/events"), 404)["reason"] == "NotFound"


def pack(name: str, namespace: str, **spec: object) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "SkillPack",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"skills": [{"name": "s", "description": "when", "content": "long"}]} | spec,
    }


async def test_skills_of_a_namespace_are_its_own_and_the_built_in_ones(console: Console) -> None:
    parameter = {"name": "rate_limit_rpm", "description": "how many", "default": "60"}
    server = {"sidecar": {"image": "i", "requiresServer": True}, "parameters": [parameter]}
    console.kubernetes.put(pack("web-endpoint", "sympozium-system", **server))
    console.kubernetes.put(pack("search", "sympozium-system"))
    console.kubernetes.put(pack("search", "space"))
    console.kubernetes.put(pack("search", "elsewhere"))

    async def listed(query: str) -> list[Object]:
        items: list[Object] = (await console.asks("GET", f"/api/v1/skills{query}")).json()["items"]
        return items

    search, endpoint = await listed("?namespace=space")
    assert (search["name"], search["namespace"], search["builtIn"]) == ("search", "space", False)
    assert search["skills"] == [{"name": "s", "description": "when"}]
    assert endpoint == {
        "name": "web-endpoint",
        "namespace": "sympozium-system",
        "builtIn": True,
        "requiresServer": True,
        "skills": [{"name": "s", "description": "when"}],
        "parameters": [parameter],
        "phase": None,
    }
    assert len(await listed("")) == 4
    assert [found["builtIn"] for found in await listed("?namespace=sympozium-system")] == [True, True]

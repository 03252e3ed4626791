"""The switch of a web endpoint, dry runs, and YAML."""

from typing import Any

import pytest
import yaml
from tests.integration.conftest import instance
from tests.integration.console.conftest import DEMO, SPEC, Console, error

from sympozium_api.names import LABEL_DELETING
from sympozium_api.resources import Object
from sympozium_console.console_app import create_app

SWITCH = f"{DEMO}/web-endpoint"
OTHERS = [{"skillPackRef": "triage"}, {"configMapRef": "house-rules"}]


def with_skills(console: Console, *skills: Object, **web_endpoint: Any) -> None:
    body = instance()
    console.kubernetes.put(body | {"spec": SPEC | {"skills": [*skills], "webEndpoint": web_endpoint}})


class TestTheSwitch:
    async def test_on_and_off_leave_other_skills_alone(self, console: Console) -> None:
        with_skills(console, OTHERS[0], {"skillPackRef": "web-endpoint"}, OTHERS[1])
        off = await console.request("PUT", SWITCH, json={"enabled": False})
        assert (off.status_code, off.json()["enabled"]) == (200, False)
        assert [skill | {"params": {}} for skill in console.instance()["spec"]["skills"]] == [
            other | {"params": {}} for other in OTHERS
        ]
        on = await console.request("PUT", SWITCH, json={"enabled": True})
        assert (on.status_code, on.json()["enabled"]) == (200, True)
        assert console.instance()["spec"]["webEndpoint"]["enabled"] is True
        assert len(console.instance()["spec"]["skills"]) == 2

    async def test_a_value_goes_into_the_skills_param_where_that_counts(self, console: Console) -> None:
        with_skills(console, {"skillPackRef": "web-endpoint", "params": {"rate_limit_rpm": "5"}})
        values = {"rateLimit": {"requestsPerMinute": 7, "burstSize": 3}, "replicas": 2, "hostname": None}
        assert (await console.request("PUT", SWITCH, json={"enabled": True} | values)).status_code == 200
        spec = console.instance()["spec"]
        assert spec["skills"][0]["params"] == {"rate_limit_rpm": "7"}
        assert (spec["webEndpoint"]["rateLimit"]["burstSize"], spec["webEndpoint"]["replicas"]) == (3, 2)

    async def test_the_answer_is_the_state_with_the_entity_tag_of_the_instance(self, console: Console) -> None:
        answer = await console.request("PUT", SWITCH, json={"enabled": True, "maxBodyBytes": 2048})
        read = await console.request("GET", SWITCH)
        assert answer.json() == read.json()
        assert answer.headers["etag"] == read.headers["etag"] == (await console.request("GET", DEMO)).headers["etag"]
        again = await console.request("PUT", SWITCH, json={"enabled": True, "maxBodyBytes": 2048})
        assert again.headers["etag"] == answer.headers["etag"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "enabled"),
            ({"enabled": "false"}, "enabled"),
            ({"enabled": None}, "enabled"),
            ({"enabled": True, "rateLimit": {"requestsPerMinute": 0}}, "rateLimit.requestsPerMinute"),
            ({"enabled": True, "rateLimit": {"rpm": 1}}, "spec.webEndpoint.rateLimit.rpm"),
            ({"enabled": True, "host": "x"}, "host"),
            ({"enabled": True, "allowedOrigins": ["https://a.example.com", "HTTP://x"]}, "allowedOrigins[1]"),
            ({"enabled": True, "replicas": 101}, "replicas"),
            ({"enabled": True, "oauth": {"issuer": "http://plain"}}, "oauth.issuer"),
            ({"enabled": True, "autoscaling": {"maxReplicas": "many"}}, "autoscaling.maxReplicas"),
        ],
    )
    async def test_a_wrong_value_is_named_and_nothing_is_written(
        self, console: Console, body: Object, field: str
    ) -> None:
        refusal = error(await console.request("PUT", SWITCH, json=body), 400)
        assert [fault["field"] for fault in refusal["fields"]] == [field]
        assert console.kubernetes.writes == []

    async def test_a_part_of_oauth_is_checked_with_the_whole_by_the_api_server(self, console: Console) -> None:
        whole = {"issuer": "https://login.example.com", "audiences": ["agents"]}
        assert (await console.request("PUT", SWITCH, json={"enabled": True, "oauth": whole})).status_code == 200
        part = {"enabled": True, "oauth": {"requiredScopes": ["agents.call"]}}
        assert (await console.request("PUT", SWITCH, json=part)).status_code == 200
        assert console.instance()["spec"]["webEndpoint"]["oauth"]["issuer"] == whole["issuer"]
        await console.request("PUT", SWITCH, json={"enabled": True, "oauth": None})
        refusal = error(await console.request("PUT", SWITCH, json=part), 422)
        assert "oauth" in refusal["fields"][0]["field"]

    async def test_preconditions_hold_and_a_status_report_in_between_does_not_disturb(self, console: Console) -> None:
        tag = (await console.request("GET", SWITCH)).headers["etag"]
        console.kubernetes.put(instance() | {"status": {"phase": "Running"}})
        off = await console.request("PUT", SWITCH, json={"enabled": False}, headers={"If-Match": tag})
        assert off.status_code == 200
        on = await console.request("PUT", SWITCH, json={"enabled": True}, headers={"If-Match": tag})
        assert error(on, 412)["reason"] == "PreconditionFailed"

    async def test_an_instance_that_is_deleted_or_absent_is_not_switched(self, console: Console) -> None:
        elsewhere = await console.request("PUT", f"{SWITCH}?namespace=other", json={"enabled": True})
        assert error(elsewhere, 404)["reason"] == "NotFound"
        console.kubernetes.put(instance() | {"metadata": {"name": "demo", "labels": {LABEL_DELETING: "1764410000"}}})
        refused = error(await console.request("PUT", SWITCH, json={"enabled": True}), 409)
        assert refused["reason"] == "InstanceDeleting"

    async def test_the_audit_has_the_names_of_the_values(self, archiving: Console) -> None:
        body = {"enabled": True, "rateLimit": {"burstSize": 4}, "hostname": "a.example.com"}
        assert (await archiving.request("PUT", SWITCH, json=body)).status_code == 200
        [change] = (await archiving.request("GET", "/api/v1/audit")).json()["items"]
        named = [f"spec.webEndpoint.{name}" for name in ("enabled", "hostname", "rateLimit.burstSize")]
        assert (change["action"], change["kind"], change["fields"]) == ("update", "SympoziumInstance", named)


class TestDryRuns:
    TRIED = {"dryRun": "All"}

    async def test_a_dry_run_answers_as_the_change_would_and_changes_nothing(self, console: Console) -> None:
        before = console.instance()
        tries: dict[str, Any] = {
            "PUT": {"json": {"spec": SPEC | {"maxQueuedRuns": 7}}},
            "PATCH": {"json": {"maxQueuedRuns": 7}},
        }
        for method, request in tries.items():
            answer = await console.request(method, DEMO, params=self.TRIED, **request)
            assert (answer.status_code, answer.json()["spec"]["maxQueuedRuns"]) == (200, 7), method
        switched = await console.request("PUT", SWITCH, params=self.TRIED, json={"enabled": True})
        assert switched.json()["enabled"] is True
        made = await console.request("PUT", "/api/v1/instances/new", params=self.TRIED, json={"spec": SPEC})
        assert made.status_code == 201
        assert (await console.request("DELETE", DEMO, params=self.TRIED)).status_code == 204
        assert console.instance() == before
        assert console.kubernetes.writes == []

    async def test_a_dry_run_is_refused_as_the_change_would_be(self, console: Console) -> None:
        wrong = await console.request("PATCH", DEMO, params=self.TRIED, json={"maxQueuedRuns": -1})
        assert error(wrong, 422)["fields"][0]["field"] == "spec.maxQueuedRuns"
        absent = await console.request("DELETE", "/api/v1/instances/absent", params=self.TRIED)
        assert error(absent, 404)
        unknown = await console.request("PATCH", DEMO, params={"dryRun": "true"}, json={})
        assert error(unknown, 400)["fields"][0]["field"] == "dryRun"

    async def test_a_dry_run_leaves_no_trace_in_the_audit_and_marks_no_deletion(self, archiving: Console) -> None:
        await archiving.request("PATCH", DEMO, params=self.TRIED, json={"maxQueuedRuns": 7})
        assert (await archiving.request("DELETE", DEMO, params=self.TRIED)).status_code == 204
        assert (await archiving.request("GET", "/api/v1/audit")).json()["items"] == []
        assert "labels" not in archiving.instance()["metadata"]


class TestYaml:
    HEADERS = {"Content-Type": "application/yaml", "Accept": "application/yaml"}

    async def test_an_object_is_read_changed_and_sent_back_as_yaml(self, console: Console) -> None:
        prompt = "Be kind.\nBe short.\n"
        await console.request("PATCH", DEMO, json={"memory": {"systemPrompt": prompt}})
        read = await console.request("GET", DEMO, headers={"Accept": "application/yaml"})
        assert (read.headers["content-type"], read.headers["vary"]) == ("application/yaml", "Accept")
        assert "systemPrompt: |\n" in read.text
        assert yaml.safe_load(read.text) == (await console.request("GET", DEMO)).json()
        edited = read.text.replace("Be short.", "Be brief.")
        written = await console.request("PUT", DEMO, content=edited, headers=self.HEADERS)
        assert written.status_code == 200, written.text
        assert console.instance()["spec"]["memory"]["systemPrompt"] == prompt.replace("short", "brief")
        patch = "spec:\n  maxQueuedRuns: 9 # few\n"
        patched = await console.request("PATCH", DEMO, content=patch, headers={"Content-Type": "application/yaml"})
        assert patched.json()["spec"]["maxQueuedRuns"] == 9
        switched = await console.request("PUT", SWITCH, content="enabled: on\n", headers=self.HEADERS)
        assert yaml.safe_load(switched.text)["enabled"] is True

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("a: &x 1\nb: *x", "line 2: aliases"),
            ("a: [1", "line 2: did not find"),
            ("a: 1\na: 2", "'a' is there twice"),
            ("[" * 5000, "nested"),
            ("a: 1\n---\nb: 1", "2 documents"),
            ("- 1", "not a JSON object"),
            ("a: !!python/name:os.system", "has no meaning"),
        ],
    )
    async def test_what_is_no_object_is_refused_with_its_place(self, console: Console, text: str, words: str) -> None:
        refusal = error(await console.request("PUT", DEMO, content=text, headers=self.HEADERS), 400)
        assert words in refusal["message"]

    async def test_a_body_beyond_the_limit_is_refused(self, console: Console) -> None:
        refused = await console.request("PUT", DEMO, content="#" * (65 * 1024), headers=self.HEADERS)
        assert error(refused, 413)["reason"] == "RequestEntityTooLarge"

    async def test_a_large_answer_stays_json_which_is_yaml_too(self, console: Console) -> None:
        console.kubernetes.put(instance(skills=[{"configMapRef": f"rules-{number}"} for number in range(10_000)]))
        answer = await console.request("GET", DEMO, headers={"Accept": "application/yaml"})
        assert answer.headers["content-type"] == "application/yaml"
        assert len(answer.json()["spec"]["skills"]) == 10_000

    def test_every_answer_in_json_is_described_in_yaml_too(self, console: Console) -> None:
        paths = create_app(console.context).openapi()["paths"]
        for methods in (methods for path, methods in paths.items() if path.startswith("/api/")):
            for operation in methods.values():
                answers = [
                    answer.get("content", {}) for status, answer in operation["responses"].items() if status[0] == "2"
                ]
                assert all(("application/json" in content) is ("application/yaml" in content) for content in answers)

    async def test_json_stays_the_default_and_the_shape_of_refusals(self, console: Console) -> None:
        for accept in ("*/*", "application/json, application/yaml", "text/html"):
            answer = await console.request("GET", DEMO, headers={"Accept": accept})
            assert answer.headers["content-type"] == "application/json"
        assert error(await console.request("GET", "/api/v1/instances/absent", headers=self.HEADERS), 404)

"""Reads and changes of instances, concurrent changes, and web endpoints."""

import pytest
from tests.fakes.crd_admission import unseen_status
from tests.integration.conftest import instance
from tests.integration.console.conftest import DEMO, SPEC, Console, error

from sympozium_api import names
from sympozium_api.resources import INSTANCES, Object


class TestReadingInstances:
    async def test_an_instance_is_the_stored_object_without_managed_fields(self, console: Console) -> None:
        console.kubernetes.put(instance() | {"metadata": {"name": "demo", "managedFields": [{"manager": "kubectl"}]}})
        response = await console.request("GET", DEMO)
        stored = console.instance()
        assert response.json()["spec"] == stored["spec"]
        assert "managedFields" not in response.text
        assert response.headers["etag"] == f'"{stored["metadata"]["generation"]}-{stored["metadata"]["uid"][:8]}"'

    async def test_pages_hold_every_instance_once_ordered_by_name(self, console: Console) -> None:
        for number in range(44):
            console.kubernetes.put(instance() | {"metadata": {"name": f"i{number:02}", "namespace": "other"}})
        listed, place, sizes = [], "", []
        while True:
            response = await console.request("GET", "/api/v1/instances", params={"limit": 30, "continue": place})
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

    async def test_an_omitted_or_empty_namespace_lists_all_namespaces(self, console: Console) -> None:
        console.kubernetes.put(instance() | {"metadata": {"name": "b", "namespace": "other"}})
        counts = {
            query: len((await console.request("GET", f"/api/v1/instances{query}")).json()["items"])
            for query in ("", "?namespace=", "?namespace=other", "?namespace=none")
        }
        assert list(counts.values()) == [2, 2, 1, 0]

    async def test_an_absent_instance_is_not_found(self, console: Console) -> None:
        assert error(await console.request("GET", "/api/v1/instances/absent"), 404)["reason"] == "NotFound"
        elsewhere = error(await console.request("GET", f"{DEMO}?namespace=other"), 404)
        assert elsewhere["reason"] == "NotFound"
        assert "in namespace other; the parameter namespace selects another one" in elsewhere["message"]
        assert error(await console.request("GET", f"{DEMO}/web-endpoint?namespace=other"), 404)["reason"] == "NotFound"


class TestChangingInstances:
    async def test_a_patch_changes_fields_of_the_spec_and_keeps_the_others(self, console: Console) -> None:
        before = console.instance()["spec"]
        response = await console.request("PATCH", DEMO, json={"webEndpoint": {"enabled": True}, "maxQueuedRuns": 3})
        assert response.status_code == 200
        assert response.json()["spec"]["webEndpoint"] == {**before["webEndpoint"], "enabled": True}
        assert console.instance()["spec"] == response.json()["spec"]
        assert console.instance()["spec"]["agents"] == before["agents"]
        await console.request("PATCH", DEMO, json={"maxQueuedRuns": None, "skills": []})
        assert console.instance()["spec"]["maxQueuedRuns"] == 200  # the CRD's default
        assert console.instance()["spec"]["skills"] == []

    async def test_a_patch_has_the_shape_of_a_put_or_the_fields_of_the_spec_alone(self, console: Console) -> None:
        version = console.instance()["metadata"]["resourceVersion"]
        metadata = {"name": "demo", "resourceVersion": version}
        done = await console.request("PATCH", DEMO, json={"metadata": metadata, "spec": {"maxQueuedRuns": 4}})
        assert (done.status_code, console.instance()["spec"]["maxQueuedRuns"]) == (200, 4)
        stale = await console.request("PATCH", DEMO, json={"metadata": metadata, "spec": {"maxQueuedRuns": 5}})
        assert error(stale, 409)["reason"] == "Conflict"
        for other, named in (
            ({"maxQueuedRuns": 6}, "maxQueuedRuns"),
            ({"metadata": {"labels": {}}}, "metadata.labels"),
            ({"metadata": {"name": "other"}}, "metadata.name"),
            ({"spec": []}, "spec"),
        ):
            refused = error(await console.request("PATCH", DEMO, json={"spec": {}} | other), 400)
            assert [field["field"] for field in refused["fields"]] == [named]
        assert console.instance()["spec"]["maxQueuedRuns"] == 4

    async def test_put_creates_and_then_replaces(self, console: Console) -> None:
        made = await console.request("PUT", "/api/v1/instances/fresh?namespace=other", json={"spec": SPEC})
        assert made.status_code == 201
        assert made.json()["metadata"]["namespace"] == "other"
        body = made.json() | {"spec": SPEC | {"maxQueuedRuns": 7}}
        replaced = await console.request("PUT", "/api/v1/instances/fresh?namespace=other", json=body)
        assert replaced.status_code == 200
        assert replaced.headers["etag"] != made.headers["etag"]
        assert replaced.json()["spec"]["maxQueuedRuns"] == 7

    async def test_put_keeps_finalizers_and_labels_that_were_read_and_sent_back(self, console: Console) -> None:
        """Finalizers and owners are not the console's to drop."""
        metadata = {"name": "demo", "finalizers": ["example.com/hold"], "labels": {"team": "a"}}
        console.kubernetes.put(instance() | {"metadata": metadata})
        await console.request("PUT", DEMO, json=(await console.request("GET", DEMO)).json())
        assert console.instance()["metadata"]["finalizers"] == ["example.com/hold"]
        assert console.instance()["metadata"]["labels"] == {"team": "a"}

    async def test_put_does_not_delete(self, console: Console) -> None:
        metadata = {"labels": {names.LABEL_DELETING: "1"}}
        refused = error(await console.request("PUT", DEMO, json={"metadata": metadata, "spec": SPEC}), 400)
        assert names.LABEL_DELETING in refused["message"]
        assert names.LABEL_DELETING not in console.instance()["metadata"].get("labels", {})

    async def test_delete_removes_an_instance(self, console: Console) -> None:
        assert (await console.request("DELETE", DEMO)).status_code == 204
        assert console.kubernetes.names(INSTANCES) == []
        assert error(await console.request("DELETE", DEMO), 404)["reason"] == "NotFound"


class TestOptimisticConcurrency:
    STALE = {"If-Match": '"0"'}

    async def test_a_change_to_an_older_resource_version_is_a_conflict(self, console: Console) -> None:
        body = (await console.request("GET", DEMO)).json()
        await console.request("PATCH", DEMO, json={"maxQueuedRuns": 1})
        assert error(await console.request("PUT", DEMO, json=body), 409)["reason"] == "Conflict"
        stale = {"resourceVersion": body["metadata"]["resourceVersion"], "maxQueuedRuns": 2}
        assert error(await console.request("PATCH", DEMO, json=stale), 409)["reason"] == "Conflict"
        assert console.instance()["spec"]["maxQueuedRuns"] == 1

    async def test_a_change_to_an_older_entity_tag_is_a_failed_precondition(self, console: Console) -> None:
        current = (await console.request("GET", DEMO)).headers["etag"]
        for method, request in (("PUT", {"json": {"spec": SPEC}}), ("PATCH", {"json": {}}), ("DELETE", {})):
            refused = await console.request(method, DEMO, headers=self.STALE, **request)
            assert error(refused, 412)["reason"] == "PreconditionFailed"
            assert current in refused.json()["error"]["message"]
        assert console.kubernetes.writes == []
        assert (await console.request("DELETE", DEMO, headers={"If-Match": f'"0", {current}'})).status_code == 204

    @pytest.mark.parametrize(("method", "verb"), [("PUT", "replace"), ("PATCH", "patch"), ("DELETE", "delete")])
    async def test_a_change_between_check_and_write_is_a_failed_precondition(
        self, console: Console, method: str, verb: str
    ) -> None:
        current = (await console.request("GET", DEMO)).headers["etag"]
        console.kubernetes.meanwhile(verb, INSTANCES, lambda: console.kubernetes.put(instance(maxQueuedRuns=5)))
        request = {} if method == "DELETE" else {"json": {"spec": SPEC} if method == "PUT" else {"maxQueuedRuns": 6}}
        assert error(await console.request(method, DEMO, headers={"If-Match": current}, **request), 412)
        assert console.instance()["spec"]["maxQueuedRuns"] == 5

    @pytest.mark.parametrize(("method", "verb"), [("PUT", "replace"), ("PATCH", "patch"), ("DELETE", "delete")])
    async def test_if_match_any_accepts_every_version(self, console: Console, method: str, verb: str) -> None:
        reported = instance() | {"status": {"phase": "Running"}}
        console.kubernetes.meanwhile(verb, INSTANCES, lambda: console.kubernetes.put(reported))
        request = {} if method == "DELETE" else {"json": {"spec": SPEC} if method == "PUT" else {"maxQueuedRuns": 6}}
        done = await console.request(method, DEMO, headers={"If-Match": "*"}, **request)
        assert done.status_code < 300, done.text

    @pytest.mark.parametrize(("method", "verb"), [("PUT", "replace"), ("PATCH", "patch"), ("DELETE", "delete")])
    async def test_a_status_report_fails_no_precondition(self, console: Console, method: str, verb: str) -> None:
        """Neither one before the check nor one between check and write."""
        current = (await console.request("GET", DEMO)).headers["etag"]
        for phase in ("Pending", "Running"):
            reported = console.instance() | {"status": {"phase": phase}}
            if phase == "Pending":
                console.kubernetes.put(reported)
            else:
                console.kubernetes.meanwhile(verb, INSTANCES, lambda body=reported: console.kubernetes.put(body))  # type: ignore[misc]
        request = {} if method == "DELETE" else {"json": {"spec": SPEC | {"maxQueuedRuns": 6}}}
        done = await console.request(method, DEMO, headers={"If-Match": current}, **request)
        assert done.status_code < 300, done.text

    async def test_an_operators_status_write_never_fails_a_put_without_a_version(self, console: Console) -> None:
        reported = instance() | {"status": {"phase": "Running"}}
        console.kubernetes.meanwhile("replace", INSTANCES, lambda: console.kubernetes.put(reported))
        replaced = await console.request("PUT", DEMO, json={"spec": SPEC})
        assert replaced.status_code == 200
        agents = {"default": {**SPEC["agents"]["default"], "runTimeout": "10m"}}
        assert console.instance()["spec"] == {"agents": agents, "maxConcurrentRuns": 20, "maxQueuedRuns": 200}
        assert console.instance()["status"]["phase"] == "Running"

    async def test_preconditions_on_existence_are_checked(self, console: Console) -> None:
        body = {"json": {"spec": SPEC}}
        assert error(await console.request("PUT", DEMO, headers={"If-None-Match": "*"}, **body), 412)
        absent = "/api/v1/instances/absent"
        assert error(await console.request("PUT", absent, headers={"If-Match": "*"}, **body), 412)
        gone = {"json": {"metadata": {"resourceVersion": "7"}, "spec": SPEC}}
        assert error(await console.request("PUT", absent, **gone), 409)
        assert (await console.request("PUT", absent, headers={"If-None-Match": "*"}, **body)).status_code == 201
        assert (await console.request("PUT", absent, headers={"If-Match": "*"}, **body)).status_code == 200

    @pytest.mark.parametrize("headers", [{"If-Match": "123"}, {"If-Match": ""}, {"If-None-Match": '"1"'}])
    async def test_a_malformed_precondition_is_refused(self, console: Console, headers: dict[str, str]) -> None:
        refused = error(await console.request("PUT", DEMO, headers=headers, json={"spec": SPEC}), 400)
        assert refused["fields"][0]["field"] in headers


async def test_the_web_endpoint_combines_spec_and_reported_status(console: Console) -> None:
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
    [unseen] = unseen_status("sympoziuminstances")["conditions"]
    console.kubernetes.put(instance(skills=[]))
    first = (await console.request("GET", f"{DEMO}/web-endpoint")).json()
    assert first == off | {"conditions": [unseen | {"observedGeneration": None}]}
    await console.request("PATCH", DEMO, json={"webEndpoint": {"enabled": True}})
    assert (await console.request("GET", f"{DEMO}/web-endpoint")).json() == first | {"enabled": True}

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
    on = (await console.request("GET", f"{DEMO}/web-endpoint")).json()
    assert on == reported | {"phase": "Serving", "conditions": [condition]}

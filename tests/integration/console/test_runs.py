"""Reads, cancellations and deletions of runs; the list of skills."""

import pytest
from tests.integration.console.conftest import Console, error, run

from sympozium_api import names
from sympozium_api.resources import Object


class TestRuns:
    @pytest.fixture(autouse=True)
    def _runs(self, console: Console) -> None:
        for stored in (
            run("w1", phase="Succeeded"),
            run("w2", phase="Running"),
            run("k1", instance="other"),
            run("k2", phase="Pending", namespace="space"),
            run("demo-web-endpoint", phase="Serving", mode="server"),
        ):
            console.kubernetes.put(stored)

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
    async def test_a_list_holds_the_runs_that_match_the_query(
        self, console: Console, query: str, expected: list[str]
    ) -> None:
        listed = (await console.request("GET", f"/api/v1/runs{query}")).json()
        assert [item["metadata"]["name"] for item in listed["items"]] == expected

    async def test_a_list_omits_content_and_a_single_run_has_it(self, console: Console) -> None:
        applied = {"kubectl.kubernetes.io/last-applied-configuration": "all of it", "kept": "yes"}
        made = run("w1", phase="Succeeded") | {"metadata": {"name": "w1", "annotations": applied}}
        made["spec"]["response"], made["status"]["details"] = {"asked": {"metadata": {}}}, {"service_tier": "flex"}
        made["status"]["answer"] = {"json": "{}"}
        console.kubernetes.put(made)
        listed = (await console.request("GET", "/api/v1/runs?phase=Succeeded")).json()["items"][0]
        assert listed["metadata"]["annotations"] == {"kept": "yes"}
        assert listed["spec"] == {"agentRef": "demo", "mode": "task", "cancel": False}
        assert listed["status"] == {"phase": "Succeeded"}
        one = (await console.request("GET", "/api/v1/runs/w1")).json()
        assert one["spec"]["request"] == {"messages": []}
        assert one["status"]["result"] == "Hello"
        assert (one["spec"]["response"], one["status"]["details"]) == (
            made["spec"]["response"],
            made["status"]["details"],
        )
        assert "managedFields" not in one["metadata"]

    async def test_a_list_omits_texts(self, console: Console) -> None:
        made = run("w4", requestText={"json": "{}"})
        del made["spec"]["request"]
        console.kubernetes.put(made)
        listed = (await console.request("GET", "/api/v1/runs")).json()["items"]
        [found] = [item for item in listed if item["metadata"]["name"] == "w4"]
        assert found["spec"] == {"agentRef": "demo", "mode": "task", "cancel": False}
        one = (await console.request("GET", "/api/v1/runs/w4")).json()
        assert one["spec"]["requestText"] == {"json": "{}"}

    async def test_a_run_is_deleted(self, console: Console) -> None:
        assert (await console.request("DELETE", "/api/v1/runs/w1")).status_code == 204
        assert error(await console.request("GET", "/api/v1/runs/w1"), 404)
        assert error(await console.request("DELETE", "/api/v1/runs/w1"), 404)

    async def test_an_active_run_is_cancelled_by_one_write_for_two_requests(self, console: Console) -> None:
        for _ in range(2):
            accepted = await console.request("POST", "/api/v1/runs/w2/cancel")
            assert (accepted.status_code, accepted.json()["spec"]["cancel"]) == (202, True)
        assert console.kubernetes.writes == [("patch", "agentruns", "w2")]

    @pytest.mark.parametrize(
        ("name", "reason", "word"), [("w1", "RunEnded", "Succeeded"), ("demo-web-endpoint", "ServerRun", "demo")]
    )
    async def test_an_ended_or_serving_run_is_not_cancelled(
        self, console: Console, name: str, reason: str, word: str
    ) -> None:
        refused = error(await console.request("POST", f"/api/v1/runs/{name}/cancel"), 409)
        assert refused["reason"] == reason
        assert word in refused["message"]
        assert console.kubernetes.writes == []


def pack(name: str, namespace: str, **spec: object) -> Object:
    return {
        "apiVersion": names.API_VERSION,
        "kind": "SkillPack",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"skills": [{"name": "s", "description": "when", "content": "long"}]} | spec,
    }


async def test_a_namespace_sees_its_own_and_the_built_in_skill_packs(console: Console) -> None:
    parameter = {"name": "rate_limit_rpm", "description": "how many", "default": "60"}
    server = {"sidecar": {"image": "i", "requiresServer": True}, "parameters": [parameter]}
    console.kubernetes.put(pack("web-endpoint", "sympozium-system", **server))
    console.kubernetes.put(pack("search", "sympozium-system"))
    console.kubernetes.put(pack("search", "space"))
    console.kubernetes.put(pack("search", "elsewhere"))

    async def listed(query: str) -> list[Object]:
        items: list[Object] = (await console.request("GET", f"/api/v1/skills{query}")).json()["items"]
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
    assert [skill_pack["builtIn"] for skill_pack in await listed("?namespace=sympozium-system")] == [True, True]


async def test_a_timeline_has_moments_and_calls_in_milliseconds_since_acceptance(console: Console) -> None:
    body = run("timed", phase="Succeeded")
    body["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    body["metadata"]["annotations"] = {names.ANNOTATION_ACCEPTED_AT: "2026-01-01T00:00:00.250000Z"}
    second = "2026-01-01T00:00:01"
    body["status"] |= {
        "start": "warm",
        "startedAt": "2026-01-01T00:00:00Z",
        "times": {"firstTokenAt": f"{second}.000000Z", "endedAt": f"{second}.750000Z"},
        "steps": [
            {"kind": "tool", "name": "look_up", "args": "{}", "startedAt": f"{second}.500000Z", "durationMs": 40}
        ],
    }
    console.kubernetes.put(body)
    timeline = (await console.request("GET", "/api/v1/runs/timed/timeline")).json()
    assert {moment["name"]: moment["ms"] for moment in timeline["moments"]} == {
        "accepted": 0,
        "started": 0,
        "firstToken": 750,
        "ended": 1500,
    }
    [call] = timeline["calls"]
    assert (call["name"], call["ms"], call["durationMs"]) == ("look_up", 1250, 40)
    assert "args" not in call
    assert error(await console.request("GET", "/api/v1/runs/absent/timeline"), 404)["reason"] == "NotFound"

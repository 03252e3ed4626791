"""Runs that the console starts, of instances with and without a web endpoint."""

import asyncio
import gc
import json
import tracemalloc
from typing import Any

import httpx2
import pytest
from tests.integration.conftest import eventually, instance, put_document
from tests.integration.console.conftest import Console, error
from tests.unit.api.policies import effective_policy

from sympozium_api import names
from sympozium_api.agent_document import AgentDocument
from sympozium_api.client import ApiUnavailable
from sympozium_api.resources import INSTANCES, RUNS, Object
from sympozium_api.trace_context import TraceContext

pytestmark = pytest.mark.usefixtures("watching")

RUNS_URL = "/api/v1/runs"
TASK = {"agentRef": "demo", "task": "hello"}
REQUEST = {"agentRef": "demo", "request": {"messages": [{"role": "user", "content": "hello"}], "temperature": 0.50}}

NAMED_MODEL = {"agentRef": "demo", "request": {"model": "m", "messages": [{"role": "user", "content": "hello"}]}}


async def start(console: Console, body: object = TASK, query: str = "", **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await console.http.post(f"{RUNS_URL}{query}", json=body, headers=named)


def stored(console: Console, response: httpx2.Response, namespace: str = "default") -> Object:
    assert response.status_code in (200, 201), response.text
    return console.kubernetes.object(RUNS, response.json()["metadata"]["name"], namespace)


def without_web_endpoint(name: str = "plain", namespace: str = "default", **spec: Any) -> Object:
    body = instance()
    body["metadata"] |= {"name": name, "namespace": namespace}
    body["spec"] = {"agents": {"default": {"model": "m"}}} | spec
    return body


async def ends(console: Console, name: str, **status: Any) -> None:
    console.kubernetes.put({"kind": "AgentRun", "metadata": {"name": name}, "status": status})


class TestAStart:
    async def test_makes_a_run_of_any_instance_with_or_without_a_web_endpoint(self, console: Console) -> None:
        console.kubernetes.put(without_web_endpoint("plain", "space"))
        response = await start(console, TASK | {"agentRef": "plain"}, "?namespace=space")
        assert response.status_code == 201
        run = stored(console, response, "space")
        assert response.json()["spec"]["agentRef"] == "plain"
        assert response.headers["location"] == f"{RUNS_URL}/{run['metadata']['name']}?namespace=space"
        assert run["metadata"]["labels"][names.LABEL_SOURCE] == "api"
        assert run["metadata"]["annotations"][names.ANNOTATION_KEY_ID] == "token"
        assert run["metadata"]["ownerReferences"][0]["name"] == "plain"

    async def test_sends_its_pod_the_address_of_this_replica(self, console: Console) -> None:
        annotations = stored(console, await start(console))["metadata"]["annotations"]
        assert annotations[names.ANNOTATION_REPLY_TO] == "http://127.0.0.1:8081"
        assert annotations[names.ANNOTATION_RESUMABLE] == "true"

    async def test_records_who_started_the_run_and_what_the_caller_may(self, console: Console) -> None:
        spec = stored(console, await start(console))["spec"]
        assert spec["caller"] == {"user": "token", "scopes": ["tools:write"]}

    async def test_keeps_the_callers_trace_and_begins_one_where_there_is_none(self, console: Console) -> None:
        sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        kept = stored(console, await start(console, traceparent=sent))["metadata"]["annotations"]
        assert kept[names.ANNOTATION_TRACEPARENT] == sent
        minted = [
            TraceContext.of_annotations(stored(console, await start(console))["metadata"]["annotations"])
            for _ in range(2)
        ]
        assert len({trace.trace_id for trace in minted if trace}) == 2

    @pytest.mark.parametrize("body", [TASK, REQUEST, NAMED_MODEL])
    async def test_of_a_model_that_a_policy_denies_is_403_and_makes_nothing(
        self, console: Console, body: Object
    ) -> None:
        document = AgentDocument(policy=effective_policy({"models": {"deny": ["*:m"]}}))
        digest = put_document(console.kubernetes, document)
        console.kubernetes.put(without_web_endpoint("demo") | {"status": {"agentDocument": digest}})
        refusal = error(await start(console, body), 403)
        assert refusal["code"] == "FORBIDDEN"
        assert "p0 (models.deny)" in refusal["message"]
        assert console.kubernetes.names(RUNS) == []

    async def test_sends_the_model_a_request_as_its_caller_wrote_it(self, console: Console) -> None:
        written = '{"agentRef": "demo", "request": {"messages":[{"role":"user","content":"hi"}],"temperature":0.50}}'
        await start(console)
        response = await console.http.post(
            RUNS_URL, content=written.encode(), headers={"content-type": "application/json"}
        )
        text = stored(console, response)["spec"]["requestText"]["json"]
        assert text == '{"messages":[{"role":"user","content":"hi"}],"temperature":0.50}'

    async def test_makes_a_task_the_users_message_and_keeps_a_timeout(self, console: Console) -> None:
        spec = stored(console, await start(console, TASK | {"timeout": "90s"}))["spec"]
        assert spec["requestText"]["json"] == '{"messages":[{"role":"user","content":"hello"}]}'
        assert spec["timeout"] == "90s"
        assert not {"claim", "model"} & spec.keys()

    async def test_with_an_idempotency_key_finds_its_run_again(self, console: Console) -> None:
        first, second = [await start(console, Idempotency_Key="k") for _ in range(2)]
        assert first.json()["metadata"]["name"] == second.json()["metadata"]["name"]
        other = await start(console, TASK | {"task": "bye"}, Idempotency_Key="k")
        assert error(other, 422)["reason"] == "IdempotencyKeyReused"
        assert (await start(console)).json()["metadata"]["name"] != first.json()["metadata"]["name"]

    async def test_with_an_idempotency_key_and_another_timeout_is_another_request(self, console: Console) -> None:
        first, second = [await start(console, TASK | {"timeout": "60s"}, Idempotency_Key="k") for _ in range(2)]
        assert first.json()["metadata"]["name"] == second.json()["metadata"]["name"]
        for other in (TASK, TASK | {"timeout": "90s"}):
            assert error(await start(console, other, Idempotency_Key="k"), 422)["reason"] == "IdempotencyKeyReused"

    async def test_whose_run_cannot_be_read_back_is_still_answered_with_it(self, console: Console) -> None:
        console.kubernetes.refuse("get", RUNS, ApiUnavailable("away"))
        response = await start(console)
        [name] = console.kubernetes.names(RUNS)
        assert response.status_code == 201
        assert response.json()["metadata"]["name"] == name
        assert response.json()["spec"]["agentRef"] == "demo"


class TestAWait:
    async def test_ends_with_the_run_and_its_answer(self, console: Console) -> None:
        waiting = asyncio.create_task(start(console, Idempotency_Key="k", Prefer="respond-async, wait=20"))
        while not (found := console.kubernetes.names(RUNS)):
            await asyncio.sleep(0.01)
        await ends(console, found[0], phase="Succeeded", result="Hello")
        response = await asyncio.wait_for(waiting, 60)
        assert (response.status_code, response.json()["status"]["result"]) == (200, "Hello")
        assert response.headers["preference-applied"] == "wait=20"
        again = await start(console, Idempotency_Key="k", Prefer="wait=20")
        assert (again.status_code, again.json()["status"]["result"]) == (200, "Hello")

    async def test_may_be_asked_for_in_a_header_after_others(self, console: Console) -> None:
        headers = [("Prefer", "respond-async"), ("Prefer", "wait=1")]
        response = await console.http.post(RUNS_URL, json=TASK, headers=headers)
        assert response.headers["preference-applied"] == "wait=1"

    async def test_is_over_after_its_seconds_and_the_run_goes_on(self, console: Console) -> None:
        response = await start(console, Prefer="wait=1")
        run = stored(console, response)
        assert response.status_code == 201
        assert "cancel" not in run["spec"] or run["spec"]["cancel"] is False

    async def test_of_a_caller_that_leaves_cancels_nothing(self, console: Console) -> None:
        waiting = asyncio.create_task(start(console, Prefer="wait=20"))
        while not (found := console.kubernetes.names(RUNS)):
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0.2)
        assert not console.kubernetes.object(RUNS, found[0])["spec"].get("cancel")

    async def test_does_not_hold_the_question(self, console: Console) -> None:
        question = json.dumps(TASK | {"task": "x" * 60_000}).encode()
        headers = {"content-type": "application/json", "idempotency-key": "k", "prefer": "wait=600"}

        def waiting() -> asyncio.Task[httpx2.Response]:
            return asyncio.create_task(console.http.post(RUNS_URL, content=question, headers=headers, timeout=120))

        def held() -> int:
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        callers = [waiting()]
        await eventually(lambda: bool(console.kubernetes.names(RUNS)))
        tracemalloc.start()
        try:
            before = held()
            callers += [waiting() for _ in range(20)]
            await asyncio.sleep(1)
            assert held() - before < 20 * 2 * len(question)  # a connection itself takes as much as one question here
        finally:
            tracemalloc.stop()
            console.context.draining.set()
        assert {response.status_code for response in await asyncio.gather(*callers)} == {201}

    async def test_is_over_when_the_console_drains(self, console: Console) -> None:
        waiting = asyncio.create_task(start(console, Prefer="wait=600"))
        while not console.kubernetes.names(RUNS):
            await asyncio.sleep(0.01)
        console.context.draining.set()
        assert (await asyncio.wait_for(waiting, 60)).status_code == 201


class TestARefusal:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"agentRef": "demo"}, "task"),
            (TASK | REQUEST, "task"),
            ({"task": "hello"}, "agentRef"),
            (TASK | {"agentRef": "../secrets"}, "agentRef"),
            (TASK | {"sessionKey": ""}, "sessionKey"),
            (TASK | {"sessionKey": "s" * 254}, "sessionKey"),
            (TASK | {"timeout": "soon"}, "timeout"),
            (TASK | {"task": 7}, "task"),
            ({"agentRef": "demo", "request": {"messages": []}}, "request.messages"),
            ({"agentRef": "demo", "request": {"messages": [{"role": "user"}]}}, "request.messages[0].content"),
        ],
    )
    async def test_names_the_wrong_field(self, console: Console, body: object, field: str) -> None:
        refusal = error(await start(console, body), 400)
        assert [fault["field"] for fault in refusal["fields"]] == [field]
        assert console.kubernetes.names(RUNS) == []

    async def test_of_an_unknown_instance_is_404(self, console: Console) -> None:
        assert error(await start(console, TASK | {"agentRef": "none"}), 404)["reason"] == "NotFound"
        assert error(await start(console, query="?namespace=space"), 404)["reason"] == "NotFound"

    async def test_of_a_model_that_the_instance_does_not_allow_is_404(self, console: Console) -> None:
        body = {"agentRef": "demo", "request": REQUEST["request"] | {"model": "dearest"}}  # type: ignore[operator]
        refusal = error(await start(console, body), 404)
        assert refusal["reason"] == "ModelNotFound"
        assert (
            "Leave request.model out, or name the instance's own model or one of its allowedModels"
            in refusal["message"]
        )

    async def test_of_an_instance_that_is_being_deleted_is_409(self, console: Console) -> None:
        leaving = without_web_endpoint()
        leaving["metadata"]["labels"] = {names.LABEL_DELETING: "true"}
        console.kubernetes.put(leaving)
        assert error(await start(console, TASK | {"agentRef": "plain"}), 409)["reason"] == "InstanceDeleting"
        assert console.kubernetes.names(RUNS) == []

    async def test_while_this_replica_holds_all_the_bytes_that_it_may_is_503(self, console: Console) -> None:
        budget = console.context.instance_runs.budget
        budget.add(budget.limit)
        refused = await start(console)
        assert error(refused, 503)["reason"] == "Overloaded"
        refused = await console.http.get("/api/v1/instances")
        assert error(refused, 503)["reason"] == "Overloaded"
        assert refused.headers["retry-after"] == "1"
        assert budget.used == budget.limit

    async def test_of_a_full_queue_is_429_and_other_instances_take_runs(self, console: Console) -> None:
        for name in ("full", "free"):
            console.kubernetes.put(without_web_endpoint(name, maxConcurrentRuns=1, maxQueuedRuns=0))
        assert (await start(console, TASK | {"agentRef": "full"})).status_code == 201
        refused = await start(console, TASK | {"agentRef": "full"})
        assert error(refused, 429)["reason"] == "QueueFull"
        assert refused.headers["retry-after"] == "5"
        assert (await start(console, TASK | {"agentRef": "free"})).status_code == 201

    async def test_of_a_model_that_is_not_ready_is_503(self, console: Console) -> None:
        body = without_web_endpoint()
        condition = {"type": "ModelReady", "status": "False", "reason": "SecretMissing", "message": "a-secret"}
        body["status"] = {"conditions": [condition | {"lastTransitionTime": "2026-01-01T00:00:00Z"}]}
        console.kubernetes.put(body)
        refused = await start(console, TASK | {"agentRef": "plain"})
        refusal = error(refused, 503)
        assert refusal["reason"] == "ModelNotReady"
        assert "a-secret" not in refusal["message"]
        assert refused.headers["retry-after"] == "10"

    async def test_of_a_key_whose_run_cannot_be_read_names_the_field(self, console: Console) -> None:
        name = (await start(console, Idempotency_Key="k")).json()["metadata"]["name"]
        await ends(console, name, conditions=[{"type": "Ready"}])
        refusal = error(await start(console, Idempotency_Key="k"), 409)
        assert refusal["reason"] == "RunUnreadable"
        assert "status.conditions.0." in refusal["message"]

    async def test_of_an_instance_that_cannot_be_read_names_the_field(self, console: Console) -> None:
        strange = without_web_endpoint()
        strange["status"] = {"conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "message": "x"}]}
        console.kubernetes.put(strange)
        refusal = error(await start(console, TASK | {"agentRef": "plain"}), 409)
        assert refusal["reason"] == "InstanceUnreadable"
        assert "lastTransitionTime" in refusal["message"]

    @pytest.mark.parametrize("headers", [{"Prefer": "wait=601"}, {"Idempotency_Key": "x" * 256}], ids=["wait", "key"])
    async def test_of_a_header_out_of_bounds_is_400(self, console: Console, headers: dict[str, str]) -> None:
        assert error(await start(console, **headers), 400)["fields"]

    async def test_while_the_api_server_is_away_is_503(self, console: Console) -> None:
        await start(console)
        console.kubernetes.refuse("get", INSTANCES, ApiUnavailable("away"))
        assert error(await start(console), 503)["reason"] == "ServiceUnavailable"

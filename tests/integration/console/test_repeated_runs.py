"""A run whose question is asked again."""

import pytest
from tests.fakes.callers import account_token, grant
from tests.integration.conftest import instance
from tests.integration.console.conftest import Console, error, run
from tests.integration.console.test_callers import OWN, USER, ask

from sympozium_api import names
from sympozium_api.resources import RUNS

MESSAGES = [{"role": "user", "content": "What is 1.50?"}]
TEXT = '{"messages":[{"role":"user","content":"What is 1.50?"}],"temperature":1.50}'

pytestmark = pytest.mark.usefixtures("watching")


async def test_the_same_question_becomes_a_run_of_the_caller(console: Console) -> None:
    stored = run("old", requestText={"json": TEXT}, timeout="2m", sessionKey="s", phase="Failed")
    del stored["spec"]["request"]
    stored["spec"]["caller"] = {"user": "somebody", "scopes": ["tools:read"]}
    console.kubernetes.put(stored)
    answer = await console.request("POST", "/api/v1/runs/old/repeat", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201, answer.text
    spec, metadata = answer.json()["spec"], answer.json()["metadata"]
    assert spec["requestText"]["json"] == TEXT
    assert (spec["agentRef"], spec["timeout"], spec["caller"]["user"]) == ("demo", "2m", "token")
    assert "sessionKey" not in spec
    assert metadata["labels"][names.LABEL_SOURCE] == "api"
    again = await console.request("POST", "/api/v1/runs/old/repeat", headers={"Idempotency-Key": "k"})
    assert again.json()["metadata"]["name"] == metadata["name"] != "old"
    assert answer.headers["location"] == f"/api/v1/runs/{metadata['name']}?namespace=default"


async def test_a_task_with_a_model_is_asked_of_the_same_model(console: Console) -> None:
    body = instance()
    body["spec"]["agents"]["default"]["allowedModels"] = ["big"]
    console.kubernetes.put(body)
    stored = run("old", task="Hello", model={"model": "big"})
    del stored["spec"]["request"]
    console.kubernetes.put(stored)
    spec = (await console.request("POST", "/api/v1/runs/old/repeat")).json()["spec"]
    assert spec["model"] == {"model": "big"}
    assert '"content":"Hello"' in spec["requestText"]["json"]


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"systemPrompt": "Be rude."}, "spec.systemPrompt"),
        ({"toolPolicy": {"deny": ["x"]}}, "spec.toolPolicy"),
        ({"parent": "p"}, "spec.parent"),
        ({"model": {"baseURL": "http://elsewhere"}}, "spec.model.baseURL"),
        ({"model": {"authSecretRef": "s"}}, "spec.model.authSecretRef"),
        ({"request": {"prompt": "legacy"}}, "no chat completion"),
        ({"request": {"messages": MESSAGES, "Model": "x"}}, "another case"),
        ({"request": None, "requestText": {"parts": 2, "bytes": 9, "sha256": "0" * 64}}, "AgentRunParts"),
        ({"request": None, "requestText": {"json": "[]"}}, "cannot be read"),
    ],
)
async def test_what_would_be_another_question_is_refused_with_the_reason(
    console: Console, spec: dict[str, object], word: str
) -> None:
    stored = run("old", request={"messages": MESSAGES})
    stored["spec"] = {name: value for name, value in (stored["spec"] | spec).items() if value is not None}
    console.kubernetes.put(stored)
    refusal = error(await console.request("POST", "/api/v1/runs/old/repeat"), 409)
    assert refusal["reason"] == "NotRepeatable"
    assert word in refusal["message"]
    assert console.kubernetes.names(RUNS) == ["old"]


async def test_headers_that_are_gone_a_server_and_an_absent_run_are_refused(console: Console) -> None:
    forwarded = run("forwarded", request={"messages": MESSAGES})
    forwarded["metadata"]["annotations"] = {names.ANNOTATION_FORWARDS: "true"}
    server = run("server", mode="server")
    del server["spec"]["request"]
    for body in (forwarded, server):
        console.kubernetes.put(body)
    refused = error(await console.request("POST", "/api/v1/runs/forwarded/repeat"), 409)
    assert "headers of its caller" in refused["message"]
    assert error(await console.request("POST", "/api/v1/runs/server/repeat"), 409)["reason"] == "ServerRun"
    error(await console.request("POST", "/api/v1/runs/absent/repeat"), 404)


async def test_the_right_to_create_alone_does_not_show_another_runs_question(console: Console) -> None:
    console.kubernetes.put(run("old", namespace=OWN, request={"messages": MESSAGES}))
    token, path = account_token(console.issuer, OWN, "reader"), f"/api/v1/runs/old/repeat?namespace={OWN}"
    grant(console.kubernetes, USER, OWN, verbs=("create",), plurals=("agentruns",))
    assert " get " in error(await ask(console, token, path, "POST"), 403)["message"]
    assert console.kubernetes.names(RUNS) == ["old"]

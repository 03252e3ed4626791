"""OpenAI's own SDKs, Python and Node, and LangChain, through the web endpoint of a real instance."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e import python_client
from tests.e2e.conftest import Endpoint, Namespace, instance, until

CLIENTS = Path(os.environ.get("SYMPOZIUM_CACHE") or Path.home() / ".cache/sympozium") / "clients"
"""Folder in which ``local/clients.sh`` installs them."""
HERE = Path(__file__).parent
TOKENS = ["Hello", " from", " the fake model."]
TEXT = "".join(TOKENS)
CALLS = [["call_1", "get_weather", '{"city": "Łódź"}'], ["call_2", "get_time", "{}"]]

Told = dict[str, Any]
Ask = Callable[..., Told]


def tell(endpoint: Endpoint, *command: str, **variables: str) -> Told:
    """Return the report of a client in a process of its own."""
    environ = {"OPENAI_BASE_URL": f"{endpoint.url}/v1", "OPENAI_API_KEY": endpoint.key, **variables}
    done = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    told: Told = json.loads(done.stdout)
    return told


def _node(endpoint: Endpoint, scenario: str, model: str = "default") -> Told:
    return tell(endpoint, "node", str(HERE / "openai_node.mjs"), scenario, model, NODE_CLIENT=str(CLIENTS / "node"))


@pytest.fixture(params=[python_client.ask, _node], ids=["python", "node"])
def ask(request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.param
    return found


@pytest.fixture(scope="module")
def _rich(namespace: Namespace) -> Iterator[Endpoint]:
    """An instance with other models and embeddings, and with a key for its model server."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rich"}, "stringData": {"api-key": "sk-rich"}}
    agent = {"allowedModels": ["echo", "rich", "tools"], "embeddingModels": ["embed", "status:401"]}
    limit = {"requestsPerMinute": 60_000, "burstSize": 1000}
    made = instance(
        "rich",
        agent=agent,
        authRefs=[{"provider": "openai", "secret": "rich"}],
        skills=[{"skillPackRef": "web-endpoint"}],
        webEndpoint={"rateLimit": limit},
    )
    namespace.apply(secret, made)
    endpoint = Endpoint(namespace, "rich").serves()
    yield endpoint
    endpoint.close()
    namespace.delete("instance", "rich", "--wait=false")


@pytest.fixture
def rich(_rich: Endpoint) -> Endpoint:
    return _rich


def test_a_whole_answer(chat: Endpoint, ask: Ask) -> None:
    told = ask(chat, "whole")
    assert chat.namespace.run_ends(told.pop("run"))["phase"] == "Succeeded"
    assert told == {"text": TEXT, "reason": "stop", "model": "instant", "tokens": 10}


def test_a_stream(chat: Endpoint, ask: Ask) -> None:
    assert ask(chat, "stream") == {"texts": TOKENS, "reason": "stop", "tokens": 10}


def test_the_callers_tools_are_called_in_pieces_and_their_results_answered(chat: Endpoint, ask: Ask) -> None:
    chat.use_model("tools")
    assert ask(chat, "tools") == {"calls": CALLS, "reason": "tool_calls", "final": TEXT}


def test_a_refusal_of_the_model_raises_with_its_status(chat: Endpoint, ask: Ask) -> None:
    chat.use_model("status:429")
    told = ask(chat, "refused")
    assert (told["kind"], told["status"], told["code"]) == ("RateLimitError", 429, "429")


def test_an_error_after_the_stream_has_begun_raises(chat: Endpoint, ask: Ask) -> None:
    chat.use_model("errorframe")
    told = ask(chat, "broken")
    assert told["kind"] in ("APIError", "InternalServerError", "APIStatusError")
    assert "ran out of memory" in told["message"]


def test_a_deadline_of_the_caller_ends_the_run_and_its_pod(chat: Endpoint, ask: Ask) -> None:
    chat.use_model("hang")
    before = {run["metadata"]["name"] for run in chat.namespace.list("runs")}
    told = ask(chat, "late")
    assert (told["kind"], told["status"], told["code"]) == ("InternalServerError", 504, "deadline_exceeded")
    [run] = {run["metadata"]["name"] for run in chat.namespace.list("runs")} - before
    assert chat.namespace.run_ends(run, within=10)["phase"] == "Cancelled"
    until(lambda: not chat.namespace.list("pods", "-l", f"sympozium.ai/run={run}"), within=15)


def test_a_prompt_is_continued_where_no_system_prompt_forbids_it(rich: Endpoint, chat: Endpoint, ask: Ask) -> None:
    assert ask(rich, "completion") == {"text": TEXT, "reason": "stop"}
    refused = chat.http.post("/v1/completions", json={"prompt": "One"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_parameter")


def test_embeddings_come_without_a_run_and_with_the_models_key(rich: Endpoint, ask: Ask) -> None:
    before = len(rich.namespace.list("runs"))
    assert ask(rich, "embeddings", "embed") == {"vectors": [[3, 1], [5, 1]], "model": "embed"}
    assert len(rich.namespace.list("runs")) == before
    refused = rich.http.post("/v1/embeddings", json={"input": "One", "model": "status:401"})
    assert (refused.status_code, refused.json()["error"]["message"]) == (
        502,
        "The model answered 401: the model says 401",
    )


def test_only_a_web_proxy_that_offers_embeddings_holds_the_models_key(rich: Endpoint, chat: Endpoint) -> None:
    def secrets_of(endpoint: Endpoint) -> set[str]:
        deployment = endpoint.namespace.get("deployment", f"{endpoint.run}-server")
        volumes = deployment["spec"]["template"]["spec"]["volumes"]
        return {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}

    assert secrets_of(rich) == {"rich", "rich-web-endpoint-web-api-key", "rich-web-endpoint-session-key"}
    assert secrets_of(chat) == {"chat-web-endpoint-web-api-key", "chat-web-endpoint-session-key"}


def test_another_model_that_the_instance_allows_is_called_with_the_key(rich: Endpoint, ask: Ask) -> None:
    assert ask(rich, "models") == {"models": ["instant", "rich", "default", "echo", "tools", "embed", "status:401"]}
    told = ask(rich, "whole", "echo")
    seen = json.loads(told["text"])
    assert (told["model"], seen["body"]["model"], seen["headers"]["authorization"]) == (
        "echo",
        "echo",
        "Bearer sk-rich",
    )
    unknown = ask(rich, "refused", "no-such-model")
    assert (unknown["status"], unknown["code"]) == (404, "model_not_found")


def test_langchain_answers_streams_calls_tools_and_embeds(rich: Endpoint) -> None:
    told = tell(rich, str(CLIENTS / "langchain/bin/python"), str(HERE / "langchain_client.py"))
    assert told.pop("base_url").startswith(rich.url)
    assert told == {
        "text": TEXT,
        "tokens": 10,
        "streamed": TEXT,
        "pieces": 3,
        "calls": [["get_weather", {"city": "Łódź"}], ["get_time", {}]],
        "final": TEXT,
        "vectors": [[3, 1], [5, 1]],
    }


@pytest.mark.alone  # bodies of megabytes make the API server slow for everyone
@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(
            {"messages": [{"role": "user", "content": "\u0000\ud7ff\ufffe 😀 \u2028"}]}, 200, id="odd characters"
        ),
        pytest.param({"extra": [1e308, -0.0, 5e-324, 2**63 - 1, -(2**63)]}, 200, id="numbers at the edge"),
        pytest.param(
            {"extra": {"": {"apiVersion": "v1", "kind": "X", "metadata": 7, "$(A)": "$(B)"}}}, 200, id="names"
        ),
        pytest.param({"extra": [{"a": index} for index in range(50_000)]}, 200, id="many objects"),
        pytest.param({"extra": {str(index): index for index in range(30_000)}}, 200, id="many fields"),
        pytest.param({"messages": [{"role": "user", "content": "x"}] * 10_000}, 200, id="many messages"),
        pytest.param({"extra": "<" * 1_000_000}, 200, id="what grows"),
        pytest.param({"extra": 10**400}, 200, id="a long number"),
        pytest.param({"extra": 10**1000}, 400, id="a number that is too long"),
    ],
)
def test_whatever_the_body_holds_it_is_answered_or_refused_as_the_callers(
    chat: Endpoint, body: Told, status: int
) -> None:
    response = chat.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]} | body)
    assert response.status_code == status, response.text[:500]

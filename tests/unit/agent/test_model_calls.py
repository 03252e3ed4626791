"""What reaches the model, and how each way in which a model fails reaches the caller."""

import json
from typing import Any

import pytest
from tests.fakes.model import TOKENS, TOOL_CALLS, USAGE, Model
from tests.fakes.odd_model import HEADER, odd_serving
from tests.fakes.odd_model import KEY as QUOTED_KEY
from tests.unit.agent.conftest import KEY, PROMPT, Pod, task_for
from tests.unit.agent.surface import replica

from sympozium_api.agent_records import Task


async def end_of(pod: Pod, task: Task) -> dict[str, Any]:
    """The end record of a task whose surface works."""
    async with replica(task) as surface:
        assert await pod.run(surface) == 0
    return surface.end


async def echoed(pod: Pod, task: Task) -> dict[str, Any]:
    """What reached the model."""
    end = await end_of(pod, task)
    found: dict[str, Any] = json.loads(end["choices"][0]["message"]["content"])
    return found


async def test_the_whole_request_reaches_the_model(pod: Pod, model: Model) -> None:
    task = task_for(model, "echo", temperature=0.25, tools=[], unknown={"deep": [1, None, "ł"]})
    body = (await echoed(pod, task))["body"]
    asked = {name: json.loads(text) for name, text in task["request"].items()}
    assert body == asked | {"stream": True, "stream_options": {"include_usage": True}}


async def test_stream_options_of_the_request_are_kept(pod: Pod, model: Model) -> None:
    body = (await echoed(pod, task_for(model, "echo", stream_options={"include_obfuscation": False})))["body"]
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}


async def test_the_key_and_the_instances_headers_reach_the_model(pod: Pod, model: Model) -> None:
    task = task_for(model, "echo")
    task["model"]["headers"] = {"X-Team": "blue"}
    headers = (await echoed(pod, task))["headers"]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-team"] == "blue"


async def test_a_header_of_the_instance_wins_over_the_key(pod: Pod, model: Model) -> None:
    task = task_for(model, "echo")
    task["model"]["headers"] = {"Authorization": "Basic own"}
    assert (await echoed(pod, task))["headers"]["authorization"] == "Basic own"


async def test_without_a_key_there_is_no_authorization(pod: Pod, model: Model) -> None:
    pod.key_file.unlink()
    assert "authorization" not in (await echoed(pod, task_for(model, "echo")))["headers"]


async def test_the_tasks_variables_are_set_before_the_model_is_called(pod: Pod, model: Model) -> None:
    task = task_for(model)
    task["env"] = {"HTTPS_PROXY": "http://proxy.example:3128"}
    await end_of(pod, task)
    assert pod.environ == task["env"]


async def test_tool_calls_are_put_together(pod: Pod, model: Model) -> None:
    [choice] = (await end_of(pod, task_for(model, "tools")))["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
        for identity, name, arguments in TOOL_CALLS
    ]


async def test_several_choices_are_kept_apart(pod: Pod, model: Model) -> None:
    choices = (await end_of(pod, task_for(model, n=3)))["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in choices} == {"".join(TOKENS)}


async def test_a_model_that_does_not_stream_works_too(pod: Pod, model: Model) -> None:
    async with replica(task_for(model, "plain")) as surface:
        assert await pod.run(surface) == 0
    assert surface.deliveries[0].types == ["started", "delta", "delta", "usage", "done"]
    assert surface.deliveries[0].records[1]["choices"][0]["delta"]["content"] == "".join(TOKENS)
    assert surface.end["choices"][0]["message"]["content"] == "".join(TOKENS)
    assert surface.end["usage"] == USAGE


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_an_error_of_the_model_keeps_its_status_and_message(pod: Pod, model: Model, status: int) -> None:
    error = (await end_of(pod, task_for(model, f"status:{status}")))["error"]
    assert error == {
        "type": "model_error",
        "httpStatus": status,
        "message": f"the model says {status}",
        "code": str(status),
        "modelType": error["modelType"],
    } | ({"retryAfterSeconds": 1} if status in (429, 503) else {})


async def test_an_error_that_quotes_the_instances_secrets_is_redacted(pod: Pod) -> None:
    pod.key_file.write_text(QUOTED_KEY)
    task = task_for(None, "quoting")
    async with odd_serving() as odd:
        task["model"] = {"baseURL": odd.url, "headers": {"X-Key": f"Token {HEADER}", "X-Team": "of"}}
        error = (await end_of(pod, task))["error"]
    assert error == {
        "type": "model_error",
        "httpStatus": 400,
        "message": "no account for [key] of [key]",
        "code": "unknown:[key]",
        "modelType": "refused_[key]",
        "param": "headers.[key]",
    }


@pytest.mark.parametrize(
    ("name", "says"),
    [("cut", "was cut"), ("badjson", "malformed"), ("errorframe", "ran out of memory"), ("status:302", "302")],
)
async def test_a_model_that_fails_in_another_way_is_a_502(pod: Pod, model: Model, name: str, says: str) -> None:
    error = (await end_of(pod, task_for(model, name)))["error"]
    assert (error["type"], error["httpStatus"]) == ("model_error", 502)
    assert says in error["message"]


async def test_a_model_that_cannot_be_reached_is_told_with_url_reason_and_field(
    pod: Pod, capsys: pytest.CaptureFixture[str]
) -> None:
    task = task_for(None)
    task["model"] |= {"baseURL": "http://user:secret@vllm.models.invalid:8000/v1?key=secret", "field": "spec.x"}
    error = (await end_of(pod, task))["error"]
    assert error == {
        "type": "model_unreachable",
        "httpStatus": 502,
        "code": "NameNotFound",
        "message": "Cannot reach the model at http://vllm.models.invalid:8000/v1: name not found (spec.x).",
    }
    logged = "".join(capsys.readouterr())
    assert "http://vllm.models.invalid:8000/v1: name not found" in logged
    assert "secret" not in logged


async def test_a_model_at_a_closed_port_is_told_as_refused(pod: Pod) -> None:
    task = task_for(None)
    task["model"]["baseURL"] = "http://127.0.0.1:9/v1"
    error = (await end_of(pod, task))["error"]
    assert (error["type"], error["code"]) == ("model_unreachable", "ConnectionRefused")
    assert error["message"] == "Cannot reach the model at http://127.0.0.1:9/v1: connection refused."


async def test_a_base_url_that_is_none_is_a_502(pod: Pod) -> None:
    task = task_for(None)
    task["model"]["baseURL"] = "ollama:11434"
    error = (await end_of(pod, task))["error"]
    assert (error["type"], error["httpStatus"], error["code"]) == ("model_unreachable", 502, "InvalidAddress")


@pytest.mark.parametrize("name", ["hang", "slow:500:10"])
async def test_a_run_ends_at_its_deadline(pod: Pod, model: Model, name: str) -> None:
    error = (await end_of(pod, task_for(model, name, timeout=0.2)))["error"]
    assert (error["type"], error["httpStatus"]) == ("timeout", 504)


async def test_a_run_whose_time_is_already_over_asks_no_model(pod: Pod, model: Model) -> None:
    error = (await end_of(pod, task_for(model, timeout=0)))["error"]
    assert error["type"] == "timeout"
    assert model.counts.asked == 0


async def test_a_failure_of_the_agent_itself_ends_the_run_without_telling_content(pod: Pod, model: Model) -> None:
    task = task_for(model)
    task["env"] = {PROMPT: 5}  # type: ignore[dict-item]
    pod.environ = _Strict()
    error = (await end_of(pod, task))["error"]
    assert (error["type"], error["httpStatus"]) == ("agent_error", 500)
    assert PROMPT not in error["message"]


class _Strict(dict[str, str]):
    """An environment as the operating system has it: strings only."""

    def update(self, other: Any = (), /, **_: str) -> None:
        raise TypeError(f"str expected: {other}")


@pytest.mark.parametrize("proxied", [False, True])
async def test_a_header_that_cannot_be_sent_is_named_and_not_quoted(
    pod: Pod, model: Model, monkeypatch: pytest.MonkeyPatch, *, proxied: bool
) -> None:
    if proxied:
        monkeypatch.setenv("HTTP_PROXY", model.url)
    task = task_for(model, "instant")
    task["model"]["headers"] = {"X-User": "José"}
    async with replica(task) as surface:
        await pod.run(surface)
    assert "x-user" in surface.end["error"]["message"]
    assert "Jos" not in surface.end["error"]["message"]

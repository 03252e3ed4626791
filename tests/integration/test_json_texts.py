"""Requests and answers travel and rest as JSON text: what passes through keeps its order and its numbers."""

import asyncio
import base64
import hashlib
import json
import zlib
from typing import Any

import httpx2
import pytest
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.model import Model
from tests.fakes.pod import FakePod, done
from tests.integration.conftest import KEY, Proxy
from tests.integration.responses_calls import other_replica

from sympozium_api import names
from sympozium_api.client import ApiError
from sympozium_api.resources import RUNS, Object

HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
SCHEMA = (
    '{"type":"object","properties":{"reasoning":{"type":"string"},"answer":{"type":"number","minimum":1.0,'
    '"maximum":1e3,"default":-0,"multipleOf":0.10},"a_first":{"const":123456789012345678901234567890}},'
    '"required":["reasoning","answer","a_first"],"additionalProperties":false}'
)
MESSAGES = '[ {"role": "user", "content": "h\\u00e9llo \\ud83d\\ude00"} ]'
CHAT = (
    f'{{"messages": {MESSAGES}, "temperature": 1.0, "seed": 123456789012345678901234567890,'
    f' "response_format": {{"type":"json_schema","json_schema":{{"name":"r","schema":{SCHEMA}}}}},'
    f' "tools": [{{"type":"function","function":{{"parameters":{SCHEMA},"name":"f"}}}}], "b": [1e3, -0, 1E-2, 1.50]}}'
)


async def post(proxy: Proxy, path: str, body: str, **headers: str) -> httpx2.Response:
    return await proxy.http.post(path, content=body.encode(), headers=HEADERS | headers)


def members(text: str) -> dict[str, str]:
    """The members of an object whose values are written as they came."""
    decoder, found, at = json.JSONDecoder(), dict[str, str](), 1
    while text[at - 1] != "}":
        at += len(text[at:]) - len(text[at:].lstrip())
        name, at = decoder.raw_decode(text, at)
        at = text.index(":", at) + 1
        at += len(text[at:]) - len(text[at:].lstrip())
        _, end = decoder.raw_decode(text, at)
        found[name] = text[at:end]
        at = end + len(text[end:]) - len(text[end:].lstrip()) + 1
    return found


class TestRequests:
    @pytest.mark.usefixtures("agents")
    async def test_a_chat_reaches_the_model_as_its_caller_wrote_it(self, proxy: Proxy, model: Model) -> None:
        await proxy.use_model(model, "instant")
        assert (await post(proxy, "/v1/chat/completions", CHAT)).status_code == 200
        sent, asked = members(model.last["body"]), members(CHAT)
        assert {name: sent[name] for name in asked} == asked
        others = [name for name in asked if name != "messages"]
        assert list(sent)[: len(others)] == others
        assert sent["model"] == '"instant"'

    @pytest.mark.usefixtures("agents")
    async def test_a_system_message_changes_no_other_message(self, proxy: Proxy, model: Model) -> None:
        await proxy.use_model(model, "instant", memory={"systemPrompt": "Be brief."})
        await post(proxy, "/v1/chat/completions", CHAT)
        system = '[{"role":"system","content":"Be brief."},'
        assert members(model.last["body"])["messages"] == system + MESSAGES[1:].lstrip()

    @pytest.mark.usefixtures("agents")
    async def test_a_legacy_completion_reaches_the_model_as_its_caller_wrote_it(
        self, proxy: Proxy, model: Model
    ) -> None:
        await proxy.use_model(model, "instant")
        body = f'{{"prompt": "One", "top_p": 1.0, "z": {SCHEMA}, "a": 1e3}}'
        assert (await post(proxy, "/v1/completions", body)).status_code == 200
        sent, asked = members(model.last["body"]), members(body)
        assert {name: sent[name] for name in asked} == asked

    @pytest.mark.usefixtures("agents")
    async def test_schemas_of_a_response_keep_their_order_and_numbers(self, proxy: Proxy, model: Model) -> None:
        await proxy.use_model(model, "instant")
        body = (
            f'{{"input": "hello", "temperature": 1.0, "tools": [{{"type":"function","name":"f","parameters":{SCHEMA}}}],'
            f' "text": {{"format": {{"type":"json_schema","name":"r","schema":{SCHEMA}}}}}}}'
        )
        told = (await post(proxy, "/v1/responses", body)).text
        as_python = json.dumps(json.loads(SCHEMA), separators=(",", ":"))
        assert model.last["body"].count(as_python) == 2
        assert '"temperature":1.0' in model.last["body"]
        assert told.count(as_python) == 2

    async def test_a_small_request_can_be_read_in_its_run(self, proxy: Proxy) -> None:
        asking = asyncio.create_task(post(proxy, "/v1/chat/completions", CHAT))
        pod = await proxy.pod()
        spec = proxy.kubernetes.object(RUNS, pod.run)["spec"]
        assert "request" not in spec
        assert members(spec["requestText"]["json"]) == members(CHAT)
        await pod.answer("Hello")
        await asking

    async def test_a_run_of_the_version_before_is_found_by_its_key(self, proxy: Proxy) -> None:
        """The hash is that of 0.2.0."""
        body = '{"messages": [{"role": "user", "content": "hé"}], "temperature": 1.0, "stream_options": {"include_usage": true}}'
        run = names_of_key(proxy, "k")
        proxy.kubernetes.put(run)
        answer = await post(proxy, "/v1/chat/completions", body, **{"Idempotency-Key": "k"})
        assert (answer.status_code, answer.headers["x-sympozium-run"]) == (200, run["metadata"]["name"])
        assert answer.json()["choices"][0]["message"]["tool_calls"] == CALLS
        assert answer.json()["service_tier"] == "flex"

    async def test_the_request_of_a_run_cannot_be_edited(self, proxy: Proxy) -> None:
        asking = asyncio.create_task(post(proxy, "/v1/chat/completions", CHAT))
        pod = await proxy.pod()
        for change in ({"json": "{}"}, {"bytes": 2}, {"sha256": "0" * 64}, {"json": None, "gzip": "AA=="}):
            with pytest.raises(ApiError, match="immutable"):
                await proxy.kubernetes.patch(RUNS, "default", pod.run, {"spec": {"requestText": change}})
        with pytest.raises(ApiError, match=r"immutable|exactly one"):
            await proxy.kubernetes.patch(RUNS, "default", pod.run, {"spec": {"requestText": None}})
        await pod.answer("Hello")
        await asking


CALLS = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def names_of_key(proxy: Proxy, key: str) -> Object:
    """An ended run as the web-proxy and the agent of 0.2.0 left it."""
    uid = proxy.kubernetes.objects["sympoziuminstances", "default", "demo"]["metadata"]["uid"]
    seed = json.dumps([uid, "api-key", key])
    return {
        "apiVersion": names.API_VERSION,
        "kind": "AgentRun",
        "metadata": {
            "name": f"demo-{hashlib.sha256(seed.encode()).hexdigest()[:20]}",
            "labels": names.labels("run", instance="demo"),
            "annotations": {
                names.ANNOTATION_KEY_ID: "api-key",
                names.ANNOTATION_REQUEST_HASH: "80a402004a3c4e9591220248f30664ad1b8ffe968a656411d6bd6c96db31be9b",
            },
        },
        "spec": {
            "agentRef": "demo",
            "mode": "task",
            "request": {
                "messages": [{"content": "hé", "role": "user"}],
                "stream_options": {"include_usage": True},
                "temperature": 1,
            },
        },
        "status": {
            "phase": "Succeeded",
            "result": "",
            "finishReason": "tool_calls",
            "choices": [
                {
                    "finish_reason": "tool_calls",
                    "index": 0,
                    "message": {"content": None, "role": "assistant", "tool_calls": CALLS},
                }
            ],
            "details": {"service_tier": "flex"},
            "tokenUsage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
        },
    }


RICH = done("") | {
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": None, "tool_calls": CALLS, "z": {"b": 1.0, "a": 2**70}},
            "finish_reason": "tool_calls",
            "logprobs": {"content": [{"token": "x", "logprob": -0.0, "bytes": None, "a": 1.0}]},
        }
    ],
    "about": {"zone": "b", "cost": 1.0, "aim": "a"},
}


class TestAnswers:
    async def test_an_answer_by_key_has_the_same_bytes_at_every_replica(self, proxy: Proxy) -> None:
        asking = asyncio.create_task(post(proxy, "/v1/chat/completions", CHAT, **{"Idempotency-Key": "k"}))
        await (await proxy.pod()).say({"type": "started"}, RICH)
        first = (await asking).text
        again = (await post(proxy, "/v1/chat/completions", CHAT, **{"Idempotency-Key": "k"})).text
        assert again == first
        assert '"z":{"b":1.0,"a":1180591620717411303424}' in first
        assert '"logprob":-0.0' in first
        assert first.startswith('{"zone":"b","cost":1.0,"aim":"a"')

    async def test_a_response_is_fetched_with_the_bytes_that_were_told(self, proxy: Proxy) -> None:
        body = (
            f'{{"input": "hi", "tools": [{{"type":"function","name":"f","parameters":{SCHEMA}}}], "temperature": 1.0}}'
        )
        asking = asyncio.create_task(post(proxy, "/v1/responses", body))
        await (await proxy.pod()).say({"type": "started"}, RICH)
        told = (await asking).text
        async with other_replica(proxy) as other:
            fetched = await other.responses.with_raw_response.retrieve(json.loads(told)["id"])
        assert fetched.text == told

    async def test_a_long_answer_is_compressed_and_told_again_whole(self, proxy: Proxy) -> None:
        calls = [CALLS[0] | {"function": {"name": "f", "arguments": '"' * 150_000}}]
        record = done("") | {"choices": [{"index": 0, "message": {"content": None, "tool_calls": calls}}]}
        asking = asyncio.create_task(post(proxy, "/v1/chat/completions", CHAT, **{"Idempotency-Key": "k"}))
        pod = await proxy.pod()
        await pod.say({"type": "started"}, record)
        first = (await asking).text
        kept = proxy.kubernetes.object(RUNS, pod.run)["status"]["answer"]
        assert set(kept) == {"gzip", "bytes", "sha256"}
        assert (await post(proxy, "/v1/chat/completions", CHAT, **{"Idempotency-Key": "k"})).text == first

    async def test_half_a_character_is_fetched_as_it_was_told(self, proxy: Proxy) -> None:
        """A model that is cut may leave half of a surrogate pair, which UTF-8 cannot hold."""
        calls = [CALLS[0] | {"function": {"name": "f", "arguments": "\ud83d"}}]
        record = done("") | {"choices": [{"index": 0, "message": {"content": "\ud83d", "tool_calls": calls}}]}
        asking = asyncio.create_task(post(proxy, "/v1/responses", '{"input": "hi"}'))
        pod = await proxy.pod()
        await pod.say({"type": "started"}, record)
        told = (await asking).text
        fetched = await proxy.http.get(f"/v1/responses/resp_{pod.run}", headers=HEADERS)
        assert (fetched.status_code, fetched.text) == (200, told)

    async def test_half_a_character_of_somebody_else_is_no_answer(self, proxy: Proxy) -> None:
        made = names_of_key(proxy, "k")
        text = '{"choices": [{"index": 0, "message": {"content": "\\ud83d", "tool_calls": []}}]}'
        made["status"] = {"phase": "Succeeded", "answer": {"json": text}}
        proxy.kubernetes.put(made)
        body = '{"messages": [{"role": "user", "content": "hé"}], "temperature": 1.0, "stream_options": {"include_usage": true}}'
        answer = await post(proxy, "/v1/chat/completions", body, **{"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "internal_error")


def run(name: str, **spec: Any) -> Object:
    metadata = {"name": name, "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"}
    own = {"agentRef": "demo", "mode": "task"} | spec
    return {"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": metadata, "spec": own}


def packed(content: bytes, **changes: Any) -> Object:
    """A text as ``gzip``."""
    digest = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {"gzip": base64.b64encode(zlib.compress(content, wbits=31)).decode()} | digest | changes


BODY = b'{"messages": [{"role": "user", "content": "hello"}], "z": 1.0, "a": 1e3}'
BOMB = b" " * 50_000_000
REFUSED: dict[str, tuple[Object, str]] = {
    "neither": ({}, "exactly one of json, gzip and parts"),
    "both": (packed(BODY) | {"json": "{}"}, "exactly one of json, gzip and parts"),
    "no digest": ({"gzip": packed(BODY)["gzip"]}, "gzip and parts need bytes and sha256"),
    "a text too long": (packed(BODY, bytes=2 * 1024 * 1024 + 1), "bytes"),
    "a digest that is none": (packed(BODY, sha256="x"), "sha256"),
}
UNREADABLE: dict[str, tuple[Object, str]] = {
    "another digest": (packed(BODY, sha256="0" * 64), "spec.requestText.sha256"),
    "another digest of json": ({"json": "{}", "sha256": "0" * 64}, "spec.requestText.sha256"),
    "too few bytes": (packed(BODY, bytes=10), "spec.requestText.bytes"),
    "too many bytes": (packed(BODY, bytes=100), "spec.requestText.bytes"),
    "a bomb": (packed(BOMB, bytes=2 * 1024 * 1024), "spec.requestText.bytes"),
    "not base64": (packed(BODY, gzip="???"), "spec.requestText.gzip"),
    "not gzip": (packed(BODY, gzip="AAAA"), "spec.requestText.gzip"),
    "empty gzip": (packed(BODY, gzip=""), "spec.requestText.gzip"),
    "cut": (packed(BODY, gzip=base64.b64encode(zlib.compress(BODY, wbits=31)[:-4]).decode()), "spec.requestText.gzip"),
    "not UTF-8": (packed(b'{"a": "\xff"}'), "spec.requestText.gzip"),
    "empty": ({"json": ""}, "spec.requestText: "),
    "a list": ({"json": "[]"}, "spec.requestText: "),
    "a text": ({"json": '"{}"'}, "spec.requestText: "),
    "two objects": ({"json": "{}{}"}, "spec.requestText: "),
    "cut JSON": ({"json": '{"messages": ['}, "spec.requestText: "),
    "nested": ({"json": '{"messages": ' + "[" * 100_000}, "spec.requestText: "),
    "a number that is none": ({"json": '{"messages": [], "temperature": NaN}'}, "spec.requestText: "),
    "a name twice": (
        {"json": '{"messages": [], "messages": []}'},
        "spec.requestText: it has the member 'messages' twice",
    ),
    "messages that are null": ({"json": '{"messages": null}'}, "messages"),
    "messages that are none": ({"json": '{"messages": 7}'}, "messages"),
}
ACCEPTED: dict[str, Object] = {
    "json alone": {"json": BODY.decode()},
    "gzip": packed(BODY),
}


class TestAppliedRuns:
    """Runs of whoever may create them."""

    @pytest.mark.parametrize("name", ACCEPTED)
    async def test_a_text_is_sent_as_it_is(self, proxy: Proxy, name: str) -> None:
        proxy.kubernetes.put(run("r1", requestText=ACCEPTED[name]))
        task = await FakePod(proxy.kubernetes.object(RUNS, "r1"), proxy.issuer, proxy.surface).task()
        request = members(members(task.text)["request"])
        assert (request["z"], request["a"]) == ("1.0", "1e3")
        assert json.loads(request["messages"]) == [{"role": "user", "content": "hello"}]

    async def test_a_plain_object_is_sent(self, proxy: Proxy) -> None:
        proxy.kubernetes.put(run("r1", request=json.loads(BODY)))
        task = await FakePod(proxy.kubernetes.object(RUNS, "r1"), proxy.issuer, proxy.surface).task()
        assert task.json()["request"] == json.loads(BODY) | {"model": "smollm2"}

    @pytest.mark.parametrize("name", UNREADABLE)
    async def test_a_text_that_cannot_be_read_fails_its_run_by_name(self, proxy: Proxy, name: str) -> None:
        text, field = UNREADABLE[name]
        proxy.kubernetes.put(run("r1", requestText=text))
        pod = FakePod(proxy.kubernetes.object(RUNS, "r1"), proxy.issuer, proxy.surface)
        assert (await pod.task()).status_code == 410
        status = proxy.kubernetes.object(RUNS, "r1")["status"]
        assert (status["phase"], status["error"]["httpStatus"]) == ("Failed", 400)
        assert status["error"]["type"] in ("task_refused", "unsupported_parameter")
        assert field in status["error"]["message"]

    @pytest.mark.parametrize("name", REFUSED)
    async def test_a_text_that_is_none_is_not_stored(self, name: str) -> None:
        text, message = REFUSED[name]
        with pytest.raises(ApiError, match=message):
            await FakeKubernetes().create(RUNS, "default", run("r1", requestText=text))

    @pytest.mark.parametrize("spec", [{}, {"task": "x"}, {"request": {"messages": []}}])
    async def test_exactly_one_field_holds_the_question(self, spec: Object) -> None:
        made = run("r1", **spec, **({"requestText": {"json": "{}"}} if spec else {}))
        with pytest.raises(ApiError, match="exactly one of task, request and requestText"):
            await FakeKubernetes().create(RUNS, "default", made)

    @pytest.mark.parametrize("name", UNREADABLE)
    async def test_an_answer_that_cannot_be_read_is_an_error(self, proxy: Proxy, name: str) -> None:
        """As somebody with a right on statuses might write it."""
        made = names_of_key(proxy, "k")
        made["status"] = {"phase": "Succeeded", "answer": UNREADABLE[name][0]}
        if name.startswith("messages"):
            made["status"]["answer"] = {"json": '{"usage": {"a": 1e999}}'}
        proxy.kubernetes.put(made)
        body = '{"messages": [{"role": "user", "content": "hé"}], "temperature": 1.0, "stream_options": {"include_usage": true}}'
        answer = await post(proxy, "/v1/chat/completions", body, **{"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "internal_error")
        assert "status.answer" in answer.json()["error"]["message"]

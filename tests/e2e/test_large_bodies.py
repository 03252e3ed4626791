"""Bodies of up to 8 MiB pass the cluster whole, in parts that their run owns."""

import hashlib
import json
import secrets

import httpx2
import pytest
from tests.e2e.conftest import Endpoint, until

MIB = 1024 * 1024


def ask(endpoint: Endpoint, text: str, **headers: str) -> httpx2.Response:
    body = json.dumps({"messages": [{"role": "user", "content": text}]}, ensure_ascii=False)
    sent = {"Content-Type": "application/json"} | headers
    return endpoint.http.post("/v1/chat/completions", content=body.encode(), headers=sent)


@pytest.mark.parametrize("size", [MIB, 2 * MIB, 8 * MIB - 100])
def test_a_text_reaches_the_model_byte_for_byte(chat: Endpoint, size: int) -> None:
    chat.use_model("digest")
    text = secrets.token_hex(size // 2)
    answer = ask(chat, text)
    assert answer.status_code == 200, answer.text
    expected = {"bytes": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == expected


def test_characters_beyond_latin_are_whole(chat: Endpoint) -> None:
    chat.use_model("digest")
    text = "\U0001f600\u2028<語\t" * (4 * MIB // 12)
    expected = {"bytes": len(text.encode()), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    answer = ask(chat, text)
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == expected


def test_parts_go_with_their_run(chat: Endpoint) -> None:
    run = ask(chat, secrets.token_hex(2 * MIB)).headers["x-sympozium-run"]
    selector = ("-l", f"sympozium.ai/run={run}")
    parts = chat.namespace.list("agentrunparts", *selector)
    assert len(parts) == chat.namespace.get("run", run)["spec"]["requestText"]["parts"] >= 4
    chat.namespace.delete("run", run)
    until(lambda: not chat.namespace.list("agentrunparts", *selector), within=30)


def test_a_repeated_key_finds_the_run_of_a_long_body(chat: Endpoint) -> None:
    text, key = secrets.token_hex(2 * MIB), {"Idempotency-Key": secrets.token_hex(4)}
    first, again = ask(chat, text, **key), ask(chat, text, **key)
    assert again.headers["x-sympozium-run"] == first.headers["x-sympozium-run"]
    assert again.json()["choices"] == first.json()["choices"]
    assert ask(chat, f"{text}x", **key).status_code == 422


def test_a_long_answer_is_whole_and_its_parts_go_with_its_run(chat: Endpoint) -> None:
    chat.use_model("echo")
    text, key = secrets.token_hex(2 * MIB), {"Idempotency-Key": secrets.token_hex(4)}
    first, again = ask(chat, text, **key), ask(chat, text, **key)
    assert text in first.json()["choices"][0]["message"]["content"]
    assert again.json() == first.json()
    run = first.headers["x-sympozium-run"]
    stored = chat.namespace.get("run", run)
    parts = stored["spec"]["requestText"]["parts"] + stored["status"]["answer"]["parts"]
    selector = ("-l", f"sympozium.ai/run={run}")
    assert len(chat.namespace.list("agentrunparts", *selector)) == parts
    chat.namespace.delete("run", run)
    until(lambda: not chat.namespace.list("agentrunparts", *selector), within=30)


def test_a_longer_body_is_refused(chat: Endpoint) -> None:
    answer = ask(chat, "x" * 8 * MIB)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")

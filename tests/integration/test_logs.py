"""The log of a web-proxy: every line about a request leads to its run, and none holds what was said."""

import asyncio
from typing import Any

from structlog.testing import capture_logs
from tests.fakes.pod import delta, done, failed
from tests.integration.conftest import Proxy

WORDS = "words-that-no-line-may-hold"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def logged(proxy: Proxy, *records: dict[str, Any]) -> tuple[list[Any], str]:
    """All lines of one request and its run, and the run's name."""
    await proxy.http.get("/v1/models", headers={"Authorization": "Bearer sk-test"})  # the keys have been read, and told
    headers = {"x-request-id": "r-1", "traceparent": TRACEPARENT, "x-words": WORDS}
    with capture_logs() as lines:
        asked = asyncio.create_task(proxy.chat(messages=[{"role": "user", "content": WORDS}], headers=headers))
        pod = await proxy.pod()
        await pod.task()
        await pod.say(*records)
        await asked
    return lines, pod.run


async def test_log_lines_of_both_ports_use_the_same_field_names(proxy: Proxy) -> None:
    lines, run = await logged(proxy, {"type": "started"}, delta(WORDS), done(WORDS))
    assert [(line["event"], line["route"]) for line in lines] == [
        ("pod request", "/runs/{name}/task"),
        ("pod request", "/runs/{name}/events"),
        ("request", "/v1/chat/completions"),
    ]
    for line in lines:
        assert (line["run"], line["request_id"], line["key_id"]) == (run, "r-1", "api-key")
        assert line["trace_id"] == TRACEPARENT[3:35]
    assert WORDS not in str(lines)


async def test_a_failure_is_logged_without_the_models_words(proxy: Proxy) -> None:
    lines, _ = await logged(proxy, {"type": "started"}, failed("model_error", WORDS, 400))
    assert len(lines) == 3
    assert WORDS not in str(lines)


async def test_neither_key_nor_body_is_in_the_line_of_a_refusal(proxy: Proxy) -> None:
    await proxy.chat(key="sk-wrong")
    with capture_logs() as lines:
        await proxy.chat(key=WORDS)
        await proxy.http.post("/v1/chat/completions", content=WORDS, headers={"Authorization": "Bearer sk-test"})
        await proxy.http.get(f"/{WORDS}?{WORDS}")
    assert [line["status"] for line in lines] == [401, 415, 404]
    assert WORDS not in str(lines)
    assert "sk-test" not in str(lines)

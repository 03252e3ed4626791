"""The Open Responses compliance suite's cases, at a web-proxy in front of pods that answer as models do."""

import asyncio
from typing import Any

import pytest
from tests.fakes.pod import delta, done
from tests.integration.conftest import KEY, Proxy
from tests.open_responses import CASES, Case, check

CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"location": "Łódź"}'}}


def records(case: Case) -> list[dict[str, Any]]:
    """Records of the pod in a case."""
    if case.wants == "message":
        return [delta("Hello"), delta(" there."), done("Hello there.")]
    piece = {"index": 0, "delta": {"tool_calls": [{"index": 0} | CALL]}}
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    end = done("") | {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    return [{"type": "delta", "choices": [piece]}, end]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_case_passes(proxy: Proxy, case: Case) -> None:
    body = case.body | {"model": "default", "stream": case.stream}
    asked = asyncio.create_task(proxy.http.post("/v1/responses", json=body, headers={"Authorization": f"Bearer {KEY}"}))
    await (await proxy.pod()).say({"type": "started"}, *records(case))
    check(case, (await asked).text)

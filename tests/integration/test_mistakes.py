"""Natural mistakes of callers, and the words that come: they say what would be right. tests/e2e/test_mistakes.py has kubectl's."""

from typing import Any

import pytest
from tests.fakes.agents import Agents
from tests.integration.conftest import KEY, Proxy

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
GOOD = {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "code", "words"),
    [
        ("POST", CHAT, {}, BODY, 401, "invalid_api_key", "No API key provided. Send one of this endpoint's keys as"),
        (
            "POST",
            CHAT,
            {"Authorization": "Bearer sk-wrong"},
            BODY,
            401,
            "invalid_api_key",
            "Incorrect API key provided: it is no key of the instance 'demo'.",
        ),
        ("POST", CHAT, {"Authorization": KEY}, BODY, 401, "invalid_api_key", "does not begin with 'Bearer'"),
        ("POST", CHAT, {"api-key": KEY}, BODY, 401, "invalid_api_key", "No API key is read from the header api-key."),
        (
            "POST",
            CHAT,
            {"Authorization": "Bearer"},
            BODY,
            401,
            "invalid_api_key",
            "there is none after 'Bearer'",
        ),
        (
            "POST",
            "/chat/completions",
            GOOD,
            BODY,
            404,
            "unknown_url",
            "Did you mean /v1/chat/completions? The base URL of OpenAI's SDKs ends in /v1.",
        ),
        ("POST", f"/v1{CHAT}", GOOD, BODY, 404, "unknown_url", "Did you mean /v1/chat/completions?"),
        ("GET", CHAT, GOOD, None, 405, "method_not_allowed", "does not take GET; use POST."),
        (
            "POST",
            CHAT,
            GOOD,
            BODY | {"model": "gpt-4o"},
            404,
            "model_not_found",
            "The model 'gpt-4o' does not exist here. Use 'smollm2' or 'default'; GET /v1/models lists all.",
        ),
        (
            "POST",
            CHAT,
            GOOD,
            {"messages": [{"role": "user"}]},
            400,
            "invalid_value",
            "a message of the user needs a content: a string or a list of content parts",
        ),
        ("POST", CHAT, GOOD, {}, 400, "missing_required_parameter", "Missing required parameter: 'messages'."),
    ],
)
async def test_a_mistake_is_answered_with_what_would_be_right(
    proxy: Proxy,
    method: str,
    path: str,
    headers: dict[str, str],
    body: dict[str, Any] | None,
    status: int,
    code: str,
    words: str,
) -> None:
    answer = await proxy.http.request(method, path, json=body, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert words in error["message"]
    assert error["message"][0].isupper() or error["message"][0] == "'"
    assert error["message"].endswith((".", "'"))
    if status == 405:
        assert answer.headers["allow"] == "POST"


async def test_a_request_without_a_model_gets_the_instances(proxy: Proxy, agents: Agents) -> None:
    answer = await proxy.chat()
    assert (answer.status_code, answer.json()["model"]) == (200, "instant")

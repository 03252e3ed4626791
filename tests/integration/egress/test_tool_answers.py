"""Answers of tools: tried again, bounded in bytes and time, redirected, and told as text."""

import asyncio
import time
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from tests.fakes.webhook import PUBLIC, Received
from tests.integration.egress.conftest import KEY, Guard
from tests.unit.api.tools import HOST

from sympozium_api.tool_output import MAX_RESULT_BYTES, MAX_SENT_BYTES

URL = f"http://{HOST}/v1/query"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
async def test_a_failure_that_may_pass_is_tried_again_with_the_same_key(guard: Guard, status: int) -> None:
    async def script(_: Received) -> Response:
        return Response(status_code=status if len(guard.world.received) < 3 else 200, content="sunny")

    guard.world.script = script
    assert await guard.told() == ("sunny", False)
    assert len(guard.world.received) == 3
    assert len({request.headers["idempotency-key"] for request in guard.world.received}) == 1


async def test_after_two_retries_the_last_answer_is_told(guard: Guard) -> None:
    async def script(_: Received) -> Response:
        return PlainTextResponse("broken", status_code=500)

    guard.world.script = script
    assert await guard.told() == ("the tool answered 500: broken", True)
    assert len(guard.world.received) == 3


async def test_a_refusal_of_the_tool_is_final(guard: Guard) -> None:
    async def script(_: Received) -> Response:
        return JSONResponse({"error": "no such city"}, status_code=422)

    guard.world.script = script
    text, is_error = await guard.told()
    assert is_error
    assert "422" in text
    assert "no such city" in text
    assert len(guard.world.received) == 1


async def test_a_host_that_refuses_connections_is_tried_again_and_told(guard: Guard) -> None:
    guard.world.down.add(HOST)
    text, is_error = await guard.told()
    assert is_error
    assert f"the connection to {HOST}" in text
    assert len(guard.world.connected) == 3


async def test_a_retry_after_longer_than_the_calls_time_is_not_waited_for(guard: Guard) -> None:
    async def script(_: Received) -> Response:
        return Response(status_code=429, headers={"Retry-After": "3600"})

    guard.world.script = script
    began = time.monotonic()
    assert (await guard.told())[1]
    assert time.monotonic() - began < 25
    assert len(guard.world.received) == 1


async def test_a_call_ends_with_its_time(guard: Guard) -> None:
    async def script(_: Received) -> Response:
        await asyncio.sleep(30)
        return Response()

    guard.world.script = script
    guard.put_binding(timeoutMs=200)
    began = time.monotonic()
    text, is_error = await guard.told()
    assert (text, is_error) == ("failed: no answer within 0.2 seconds", True)
    assert time.monotonic() - began < 25


async def test_an_endless_answer_is_cut_to_what_a_model_is_told(guard: Guard) -> None:
    async def endless() -> Any:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(
                0
            )  # uvicorn drops what follows a disconnect without a turn of the loop, which the guard needs

    async def script(_: Received) -> Response:
        return StreamingResponse(endless(), media_type="text/plain")

    guard.world.script = script
    text, is_error = await guard.told()
    assert not is_error
    assert text.startswith("x" * MAX_SENT_BYTES)
    assert text.endswith("bytes]")
    assert len(text) <= MAX_RESULT_BYTES


async def test_a_slow_endless_answer_ends_with_the_calls_time(guard: Guard) -> None:
    async def endless() -> Any:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    async def script(_: Received) -> Response:
        return StreamingResponse(endless(), media_type="text/plain")

    guard.world.script = script
    guard.put_binding(timeoutMs=300)
    assert (await guard.told())[0] == "failed: no answer within 0.3 seconds"


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        ({"content-type": "image/png"}, b"\x89PNG\0", "[image/png, 5 bytes]"),
        ({"content-type": "text/plain", "content-encoding": "gzip"}, b"\x1f\x8b", "[text/plain, gzip, 2 bytes]"),
        ({"content-type": "text/plain; charset=iso-8859-1"}, b"\xe9t\xe9", "été"),
        ({"content-type": "text/plain; charset=hex"}, b"ab", "ab"),
        ({"content-type": "application/problem+json"}, b'{"a":1}', '{"a":1}'),
        ({}, b"plain", "plain"),
        ({}, b"\xff\0", "[unknown type, 2 bytes]"),
        ({"content-type": "text/plain"}, b"", "(empty answer)"),
        ({"content-type": "text/plain"}, b"\xff", "\ufffd"),
    ],
)
async def test_text_is_told_and_the_rest_by_type_and_size(
    guard: Guard, headers: dict[str, str], body: bytes, told: str
) -> None:
    async def script(_: Received) -> Response:
        return Response(body, headers=headers)

    guard.world.script = script
    assert await guard.told() == (told, False)


async def test_a_redirect_is_checked_again_and_takes_no_credential_elsewhere(guard: Guard) -> None:
    async def script(request: Received) -> Response:
        if request.host == HOST:
            return RedirectResponse("http://other.example.com/x", status_code=307)
        return PlainTextResponse(request.headers.get("x-api-key", "none"))

    guard.world.script = script
    guard.world.addresses["other.example.com"] = [PUBLIC]
    guard.put_tool(webhook={"url": URL, "auth": "apiKey", "secretRef": "weather-key"})
    guard.put_secret("weather-key", {"api-key": KEY})
    text, is_error = await guard.told()
    assert is_error
    assert "other.example.com is not in allowedDomains" in text
    guard.put_binding(allowedDomains=[HOST, "other.example.com"])
    assert await guard.told() == ("none", False)
    assert guard.world.received[-1].body == b'{"city":"Oslo"}'
    guard.world.addresses["other.example.com"] = ["169.254.169.254"]
    text, is_error = await guard.told()
    assert is_error
    assert "metadata" in text


async def test_redirects_without_end_are_given_up(guard: Guard) -> None:
    async def script(_: Received) -> Response:
        return RedirectResponse(URL, status_code=308)

    guard.world.script = script
    assert "more than 5 redirects" in (await guard.told())[0]


async def test_a_redirect_that_would_change_the_method_is_not_followed(guard: Guard) -> None:
    async def script(_: Received) -> Response:
        return RedirectResponse("/login", status_code=302)

    guard.world.script = script
    assert await guard.told() == ("the tool answered with a redirect (302), which is not followed", True)

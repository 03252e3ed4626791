"""The header that says until when an Idempotency-Key stands."""

import asyncio

from tests.integration.conftest import Proxy

from sympozium_api import names
from sympozium_api.resources import RUNS

EXPIRES = "x-sympozium-idempotency-expires"


async def test_an_answer_says_until_when_its_idempotency_key_stands(proxy: Proxy) -> None:
    first = asyncio.create_task(proxy.chat(headers={"Idempotency-Key": "k"}))
    await (await proxy.pod()).answer("Hello")
    response = await first
    assert response.headers[EXPIRES] == "Fri, 02 Jan 2026 00:00:00 GMT"
    run = proxy.kubernetes.object(RUNS, response.headers["x-sympozium-run"])
    assert run["metadata"]["annotations"][names.ANNOTATION_KEY_EXPIRES] == "2026-01-02T00:00:00Z"

    proxy.clock.advance(3600)
    again = await proxy.chat(headers={"Idempotency-Key": "k"})
    assert again.headers[EXPIRES] == response.headers[EXPIRES], "the key stands no longer because it is used again"


async def test_a_request_without_a_key_has_no_such_time(proxy: Proxy) -> None:
    asked = asyncio.create_task(proxy.chat())
    await (await proxy.pod()).answer("Hello")
    assert EXPIRES not in (await asked).headers

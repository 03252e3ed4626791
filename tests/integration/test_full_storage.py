"""A namespace whose open runs alone store as many bytes as it may accepts no further long requests."""

import asyncio

import pytest
from tests.integration.conftest import Proxy, eventually
from tests.integration.test_long_requests import is_whole, post

from sympozium_api import names
from sympozium_api.resources import RUNS

KEYED = {"Idempotency-Key": "k"}


@pytest.fixture
def max_body_bytes() -> int:
    return 8 * 1024 * 1024


def put_server_run(proxy: Proxy, name: str, label: str | None) -> None:
    labels = {names.LABEL_INSTANCE: "demo", names.LABEL_STORAGE: label}
    metadata = {"name": name, "namespace": "default", "labels": labels}
    spec = {"agentRef": "demo", "mode": "server"}
    proxy.kubernetes.put({"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": metadata, "spec": spec})


async def mark(proxy: Proxy, *, full: bool) -> None:
    """Mark the server run, as the operator does."""
    put_server_run(proxy, names.web_endpoint_run("demo"), names.STORAGE_FULL if full else None)
    await eventually(lambda: proxy.context.storage.is_full == full)


async def test_a_request_that_needs_parts_is_503_and_a_short_one_is_taken(proxy: Proxy) -> None:
    await mark(proxy, full=True)
    refused = await post(proxy)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage_full")
    assert refused.headers["retry-after"] == "60"
    assert proxy.kubernetes.names(RUNS) == [names.web_endpoint_run("demo")]
    assert 'reason="storage_full"} 1.0' in await proxy.metrics()
    asked = asyncio.create_task(proxy.chat())
    pod = await proxy.pod(among=2)
    await pod.answer("Hello")
    assert (await asked).status_code == 200


async def test_a_long_request_is_taken_again_once_there_is_room(proxy: Proxy) -> None:
    await mark(proxy, full=True)
    assert (await post(proxy)).status_code == 503
    await mark(proxy, full=False)
    asked = asyncio.create_task(post(proxy))
    pod = await proxy.pod(among=2)
    assert is_whole(await pod.task())
    await pod.answer("a cat")
    assert (await asked).status_code == 200


async def test_a_server_run_that_somebody_else_made_makes_no_room(proxy: Proxy) -> None:
    await mark(proxy, full=True)
    put_server_run(proxy, "another", None)
    await asyncio.sleep(0.2)
    assert (await post(proxy)).status_code == 503


async def test_a_retry_finds_its_run_whatever_is_stored(proxy: Proxy) -> None:
    asked = asyncio.create_task(post(proxy, **KEYED))
    pod = await proxy.pod()
    await pod.answer("a cat")
    first = await asked
    await mark(proxy, full=True)
    again = await post(proxy, **KEYED)
    assert (again.status_code, again.json()) == (200, first.json())
    assert (await post(proxy, **{"Idempotency-Key": "another"})).status_code == 503

"""A web-proxy whose instance cannot be read, as after an upgrade with a narrower schema: it serves what it knows, or is not ready."""

import asyncio
from pathlib import Path

from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.integration.conftest import Proxy, eventually, instance

from sympozium_webproxy.assembly import assemble
from sympozium_webproxy.settings import WebProxySettings

UNREADABLE = {"allowedOrigins": ["https://chat.example.com/ no origin"]}


async def test_previous_settings_stay_in_force_until_the_instance_can_be_read_again(proxy: Proxy) -> None:
    proxy.kubernetes.put(instance(webEndpoint=UNREADABLE, maxQueuedRuns=0))
    asked = asyncio.create_task(proxy.chat())
    await (await proxy.pod()).answer("Hello")
    assert (await asked).status_code == 200
    assert (await proxy.http.get("/readyz")).status_code == 200
    proxy.kubernetes.put(instance(webEndpoint={"allowedOrigins": []}, title="Readable"))
    await eventually(lambda: proxy.context.instance_cache.served().instance.spec.title == "Readable")


async def test_a_replica_that_starts_then_is_not_ready_and_does_not_end(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("k")
    kubernetes = FakeKubernetes()
    kubernetes.put(instance(webEndpoint=UNREADABLE))
    made = assemble(kubernetes, WebProxySettings("default", "demo", "127.0.0.1", api_keys=tmp_path), FakeClock())
    watches = [asyncio.ensure_future(watch()) for watch in made.watches]
    await asyncio.sleep(0.1)
    assert not made.context.instance_cache.known
    assert [watch for watch in watches if watch.done()] == []
    kubernetes.put(instance(webEndpoint={"allowedOrigins": []}))
    await eventually(made.context.runs_known)
    for watch in watches:
        watch.cancel()

"""A web-proxy whose watches are refused while it serves: reported, and ended where that lasts."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import httpx2
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.fakes.open_watches import WatchResponse
from tests.integration.conftest import KEY, eventually, instance

from sympozium_api.client import ApiError, ResourceType
from sympozium_api.client.collection import Collection, Reading
from sympozium_http import background_loop
from sympozium_runs import run_watch
from sympozium_webproxy import instance_cache
from sympozium_webproxy.assembly import WebProxy, assemble
from sympozium_webproxy.settings import WebProxySettings

PLURALS = {"instance": "sympoziuminstances", "skills": "configmaps", "runs": "agentruns"}


class LostRights(FakeKubernetes):
    """A Role that loses the rights to list and watch one kind."""

    refused = ""

    async def collection(
        self,
        kind: ResourceType,
        namespace: str | None,
        reading: Reading = Reading(),  # noqa: B008 - it is frozen
        /,
        **selectors: str,
    ) -> Collection:
        if kind.plural == self.refused:
            raise api_error(403, "Forbidden")
        return await super().collection(kind, namespace, reading, **selectors)

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, silence: float, accept: str = ""
    ) -> AsyncIterator[WatchResponse]:
        async with super().stream(path, params, silence=silence, accept=accept) as response:
            if self.refused and self.refused in path:
                response.status = 403
            yield response


@pytest.fixture
def losing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[WebProxy, LostRights]:
    """A web-proxy that knows its runs, and its API server. A refused watch fails after 50 ms instead of 30 s."""
    monkeypatch.setattr(import_module("sympozium_api.client.watch"), "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(background_loop, "_FIRST_BACKOFF", 0.01)
    for module in (run_watch, instance_cache):
        monkeypatch.setattr(module, "FAILING_SECONDS", 0.05)
    (tmp_path / "api-key").write_text(KEY)
    kubernetes = LostRights()
    kubernetes.documents["/version"] = {}
    kubernetes.put(instance())
    settings = WebProxySettings("default", "demo", "127.0.0.1", api_keys=tmp_path)
    return assemble(kubernetes, settings, FakeClock()), kubernetes


@asynccontextmanager
async def watching(proxy: WebProxy) -> AsyncIterator[list[asyncio.Task[None]]]:
    watches = [asyncio.create_task(watch()) for watch in proxy.watches]
    await eventually(proxy.context.runs_known)
    try:
        yield watches
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


@pytest.mark.parametrize("loop", PLURALS)
async def test_a_watch_that_stays_refused_is_counted_and_ends_the_process(
    losing: tuple[WebProxy, LostRights], monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    monkeypatch.setattr(background_loop, "_GIVE_UP_SECONDS", 0.5)
    proxy, kubernetes = losing
    async with watching(proxy) as watches:
        kubernetes.refused = PLURALS[loop]
        kubernetes.end_watches()
        done, _ = await asyncio.wait(watches, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert [type(watch.exception()) for watch in done] == [ApiError]
    failures = "sympozium_background_loop_failures_total"
    assert (proxy.context.metrics.registry.get_sample_value(failures, {"loop": loop}) or 0) > 0


@pytest.mark.parametrize("loop", PLURALS)
async def test_a_replica_whose_watch_stays_refused_is_not_ready_until_it_sees_again(
    losing: tuple[WebProxy, LostRights], loop: str
) -> None:
    proxy, kubernetes = losing
    transport = httpx2.ASGITransport(app=proxy.app)
    async with watching(proxy) as watches, httpx2.AsyncClient(transport=transport, base_url="http://proxy") as http:

        async def readiness(status: int) -> httpx2.Response:
            async with asyncio.timeout(60):
                while (response := await http.get("/readyz")).status_code != status:
                    await asyncio.sleep(0.01)
            return response

        await readiness(200)
        kubernetes.refused = PLURALS[loop]
        kubernetes.end_watches()
        assert (await readiness(503)).json()["reason"] == f"watch fails: {loop}"
        assert (await http.get("/healthz")).status_code == 200
        kubernetes.refused = ""
        await readiness(200)
        assert not any(watch.done() for watch in watches)

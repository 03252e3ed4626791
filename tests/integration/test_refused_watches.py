"""A web-proxy whose watches are refused while it serves: reported, and ended where that lasts."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, api_error
from tests.fakes.open_watches import WatchResponse
from tests.integration.conftest import KEY, eventually, instance

from sympozium_api.client import ApiError, ResourceType
from sympozium_api.client.rest import Collection, Reading
from sympozium_http import background_loop
from sympozium_runs import run_watch
from sympozium_webproxy import instance_cache
from sympozium_webproxy.assembly import assemble
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
    async def stream(self, path: str, params: Mapping[str, str], *, silence: float) -> AsyncIterator[WatchResponse]:
        async with super().stream(path, params, silence=silence) as response:
            if self.refused and self.refused in path:
                response.status = 403
            yield response


@pytest.mark.parametrize("loop", PLURALS)
async def test_a_watch_that_stays_refused_is_counted_and_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    monkeypatch.setattr(import_module("sympozium_api.client.watch"), "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(background_loop, "_FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(background_loop, "_GIVE_UP_SECONDS", 0.5)
    for module in (run_watch, instance_cache):
        monkeypatch.setattr(module, "FAILING_SECONDS", 0.05)
    (tmp_path / "api-key").write_text(KEY)
    kubernetes = LostRights()
    kubernetes.documents["/version"] = {}
    kubernetes.put(instance())
    proxy = assemble(kubernetes, WebProxySettings("default", "demo", "127.0.0.1", api_keys=tmp_path), FakeClock())
    watches = [asyncio.ensure_future(watch()) for watch in proxy.watches]
    await eventually(proxy.context.runs_known)

    kubernetes.refused = PLURALS[loop]
    kubernetes.end_watches()
    done, others = await asyncio.wait(watches, timeout=5, return_when=asyncio.FIRST_COMPLETED)

    assert [type(watch.exception()) for watch in done] == [ApiError]
    failures = "sympozium_background_loop_failures_total"
    assert (proxy.context.metrics.registry.get_sample_value(failures, {"loop": loop}) or 0) > 0
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)

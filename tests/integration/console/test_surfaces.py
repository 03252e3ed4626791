"""Surfaces of the console: each with a port of its own, and none where it is off."""

import dataclasses

import httpx2
import pytest
from tests.integration.conftest import listening
from tests.integration.console.conftest import Console

from sympozium_api import names
from sympozium_console.surfaces import listeners
from sympozium_http.request_limits import RequestLimits
from sympozium_platform import errors
from sympozium_platform.platform_settings import PlatformSettings


@pytest.mark.parametrize("management", [True, False])
async def test_a_surface_that_is_off_has_no_port(console: Console, management: bool) -> None:
    settings = dataclasses.replace(console.context.settings, management=management)
    found = listeners(dataclasses.replace(console.context, settings=settings))
    assert (names.HTTP_PORT in [listener.port for listener in found]) is management
    assert found[-1].port == names.METRICS_PORT


async def test_the_agent_platform_has_its_port_once_it_has_settings(console: Console) -> None:
    settings = dataclasses.replace(console.context.settings, platform=PlatformSettings(), body_seconds=7.0)
    found = listeners(dataclasses.replace(console.context, settings=settings))
    [platform] = [listener for listener in found if listener.port == names.PLATFORM_PORT]
    assert platform.body_seconds is not None
    assert platform.body_seconds.of("/runs") == 7
    refusal = RequestLimits.error_body(408, "late", "request_timeout")
    assert platform.http is RequestLimits
    assert refusal["error"].keys() == errors.error_body(408, "late", "request_timeout")["error"].keys()
    assert names.PLATFORM_PORT not in [listener.port for listener in listeners(console.context)]


async def test_probes_answer_at_the_port_of_metrics_whichever_surfaces_are_on(console: Console) -> None:
    metrics = listeners(console.context)[-1]
    async with listening(metrics.app) as url, httpx2.AsyncClient(base_url=url) as http:
        statuses = [(await http.get(path)).status_code for path in ("/healthz", "/readyz", "/metrics", "/api/v1/runs")]
        assert statuses == [200, 200, 200, 404]
        console.context.draining.set()
        assert (await http.get("/readyz")).status_code == 503


async def test_each_surface_has_its_own_seconds_for_bodies(console: Console) -> None:
    settings = dataclasses.replace(console.context.settings, body_seconds=60.0)
    [management, *_] = listeners(dataclasses.replace(console.context, settings=settings))
    assert management.body_seconds is not None
    assert management.body_seconds.of("/api/v1/instances/a") == 60

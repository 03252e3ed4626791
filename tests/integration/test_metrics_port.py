"""The port of /metrics, which nobody outside of the cluster reaches."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.responses import PlainTextResponse
from tests.fakes.replica import Replica, running

from sympozium_http.metrics_endpoint import MetricsEndpoint


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    folder: Path = tmp_path_factory.mktemp("replica")
    with running(folder) as found:
        yield found


def test_a_web_proxy_shows_its_metrics_at_port_9090_only(replica: Replica) -> None:
    seen = httpx2.get(f"{replica.metrics_url}/metrics", timeout=60)
    assert seen.status_code == 200
    assert seen.headers["content-type"].startswith("text/plain")
    assert "sympozium_runs_open" in seen.text
    assert "sympozium_pod_requests_total" in seen.text
    assert [httpx2.get(f"{url}/metrics").status_code for url in (replica.url, replica.surface)] == [404, 404]


@pytest.mark.parametrize("path", ["/", "/v1/models", "/runs/r1/task"])
def test_the_port_of_metrics_shows_nothing_else(replica: Replica, path: str) -> None:
    assert httpx2.get(f"{replica.metrics_url}{path}").status_code == 404


async def test_a_port_that_keeps_its_metrics_keeps_all_else() -> None:
    registry = CollectorRegistry()
    Counter("asked", "Requests.", registry=registry).inc()
    app = MetricsEndpoint(registry, PlainTextResponse("the application"))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://web-proxy") as http:
        assert "asked_total 1.0" in (await http.get("/metrics")).text
        assert (await http.get("/v1/models")).text == "the application"
        assert (await http.post("/metrics")).text == "the application"

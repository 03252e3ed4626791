"""Transports to a model: direct over TLS, or through a proxy. All else about a model is in test_model_calls."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.certificate import local, server_side
from tests.fakes.model import TOKENS, Model, serving
from tests.unit.agent.conftest import KEY, Pod, task_for
from tests.unit.agent.surface import Reply, replica


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def end_of(pod: Pod, name: str, base_url: str, *, seconds: float = 60) -> dict[str, Any]:
    task = task_for(None, name, timeout=seconds)
    task["model"]["baseURL"] = base_url
    async with replica(task) as surface:
        assert await pod.run(surface) == 0
    return surface.end


class TestProxy:
    BEYOND = "http://model.beyond.example/v1"

    @pytest.fixture(autouse=True)
    def _proxy(self, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", model.url.removesuffix("/v1"))

    async def test_a_model_behind_a_proxy_answers(self, pod: Pod) -> None:
        end = await end_of(pod, "instant", self.BEYOND)
        assert end["choices"][0]["message"]["content"] == "".join(TOKENS)

    async def test_the_key_passes_a_proxy(self, pod: Pod) -> None:
        end = await end_of(pod, "echo", self.BEYOND)
        assert KEY in end["choices"][0]["message"]["content"]
        assert "model.beyond.example" in end["choices"][0]["message"]["content"]

    @pytest.mark.parametrize(("name", "status"), [("status:429", 429), ("cut", 502)])
    async def test_a_failure_behind_a_proxy_keeps_its_status(self, pod: Pod, name: str, status: int) -> None:
        assert (await end_of(pod, name, self.BEYOND))["error"]["httpStatus"] == status

    async def test_a_run_behind_a_proxy_ends_at_its_deadline(self, pod: Pod) -> None:
        error = (await end_of(pod, "slow:500:10", self.BEYOND, seconds=0.6))["error"]
        assert (error["type"], error["httpStatus"]) == ("timeout", 504)

    async def test_a_cancelled_run_closes_its_connection_to_the_proxy(self, pod: Pod, model: Model) -> None:
        task = task_for(None, "slow:500:10", timeout=60)
        task["model"]["baseURL"] = self.BEYOND
        async with replica(task, events=[Reply(410, after=4)]) as surface:
            assert await pod.run(surface) == 0
        async with asyncio.timeout(60):
            while not model.counts.abandoned:
                await asyncio.sleep(0.01)

    async def test_a_proxy_that_is_not_there_is_a_502(self, pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        error = (await end_of(pod, "instant", self.BEYOND))["error"]
        assert error["httpStatus"] == 502
        assert error["type"] == "model_unreachable"
        assert error["message"].startswith("Cannot reach the model at http://model.beyond.example/v1: ")


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_model_behind_tls_must_be_signed_by_a_trusted_authority(
    pod: Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_trusted: bool
) -> None:
    file = local(tmp_path)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with serving(tls=server_side(file)) as model:
        end = await end_of(pod, "instant", model.url)
    if is_trusted:
        assert end["choices"][0]["message"]["content"] == "".join(TOKENS)
    else:
        assert end["error"]["httpStatus"] == 502
        assert "certificate" in end["error"]["message"].lower()


@pytest.mark.parametrize("value", ["secret\nheader", "sekret-ł"])
async def test_a_header_that_http_does_not_allow_is_not_quoted(pod: Pod, model: Model, value: str) -> None:
    task = task_for(model)
    task["model"]["headers"] = {"x-own": value}
    async with replica(task) as surface:
        assert await pod.run(surface) == 0
    assert surface.end["error"]["httpStatus"] == 502
    assert value not in surface.end["error"]["message"]

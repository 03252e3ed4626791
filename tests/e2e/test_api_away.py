"""The API server hangs for half a minute: what was accepted is answered, what is new is told to come again, and afterwards all is well."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import TERMINAL, Endpoint, Namespace, Object, instance, until
from tests.e2e.signals import signals
from tests.e2e.webproxies import PLENTY, made, runs

pytestmark = pytest.mark.alone

log = logging.getLogger(__name__)

SECONDS = 30
NOTICE = "5"
"""Seconds before, in which the command that stops the API server returns through it; later it returns when the API server goes on."""
REFUSED_WITHIN = 20.0
"""Seconds: a call of the API server gives up after 10, and a busy machine takes its time."""


@pytest.fixture
def patient(namespace: Namespace) -> Iterator[Endpoint]:
    """An instance with two web-proxies that has two runs at a time."""
    web_endpoint = {"enabled": True, "replicas": 2, "rateLimit": PLENTY}
    models = {"allowedModels": ["slow:200:100", "slow:450:100"]}
    yield from made(namespace, instance("patient", agent=models, webEndpoint=web_endpoint, maxConcurrentRuns=2))


def test_what_was_accepted_is_answered_and_what_is_new_comes_again(patient: Endpoint, webproxy_image: str) -> None:
    url = patient.url  # and its key have been read as long as they can be
    assert patient.http.get("/v1/models").status_code == 200
    with signals(webproxy_image) as to, ThreadPoolExecutor(16) as background:
        during = background.submit(ask, patient, model="slow:200:100", stream=True)
        across = background.submit(ask, patient, model="slow:450:100", stream=True)
        until(
            lambda: [run.get("status", {}).get("phase") for run in runs(patient).values()] == ["Running"] * 2, within=30
        )
        queued = background.submit(ask, patient)
        until(lambda: len(runs(patient)) == 3, within=10)
        known, began = set(runs(patient)), time.monotonic()
        sent = background.submit(to.send, "--etcd-servers=", "", NOTICE, "STOP", str(SECONDS), "CONT")
        until(lambda: not ready(url), within=15)
        again = background.submit(comes_again, patient)
        refused = [background.submit(timed, patient) for _ in range(4)]
        for seconds, answer in [asked.result() for asked in refused]:
            log.info("refused after %.1f s", seconds)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "api_unavailable")
            assert int(answer.headers["retry-after"]) > 0
            assert seconds < REFUSED_WITHIN
        assert whole(during.result()) == 200
        assert time.monotonic() - began < SECONDS + int(NOTICE), "it was answered meanwhile"

        sent.result()
        assert whole(across.result()) == 450
        assert queued.result().status_code == 200
        run, tries = again.result()
        log.info(
            "who came again was answered at try %d, %.1f s after the API server went", tries, time.monotonic() - began
        )
        assert tries > 1
    until(lambda: ready(url), within=30)
    assert patient.chat().status_code == 200
    answered = known | {run}
    all_ended(patient)
    phases = {name: found["status"]["phase"] for name, found in runs(patient).items()}
    assert {phases[name] for name in answered} == {"Succeeded"}
    assert list(phases.values()).count("Succeeded") == len(answered) + 1
    assert set(phases.values()) <= {"Succeeded", "Cancelled"}, "nobody waits for those that were refused"


def ask(endpoint: Endpoint, headers: dict[str, str] | None = None, **fields: Any) -> httpx2.Response:
    body = {"messages": [{"role": "user", "content": "hello"}]} | fields
    return endpoint.http.post("/v1/chat/completions", json=body, headers=headers)


def timed(endpoint: Endpoint) -> tuple[float, httpx2.Response]:
    began = time.monotonic()
    answer = ask(endpoint)
    return time.monotonic() - began, answer


def comes_again(endpoint: Endpoint) -> tuple[str, int]:
    """One who asks with a key until it has its answer: its run, and how often it asked."""
    tried, deadline = 1, time.monotonic() + 200
    while (answer := ask(endpoint, {"Idempotency-Key": "again"})).status_code != 200:
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < deadline
        time.sleep(int(answer.headers["retry-after"]))
        tried += 1
    return answer.headers["x-sympozium-run"], tried


def whole(answer: httpx2.Response) -> int:
    """Return the number of pieces of a stream, after asserting that it is whole."""
    assert answer.status_code == 200, answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
    return answer.text.count('"content":') - 1


def ready(url: str) -> bool:
    """Ask the endpoint alone: looking its address up would wait for the API server."""
    return httpx2.get(f"{url}/readyz", timeout=15).status_code == 200


def all_ended(endpoint: Endpoint) -> None:
    def open_runs() -> list[Object]:
        return [run for run in runs(endpoint).values() if run.get("status", {}).get("phase") not in TERMINAL]

    until(lambda: not open_runs(), within=60, why=open_runs)

"""A caller that leaves cancels its run within two seconds, wherever the run stands; one that sends slowly is cut off."""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self
from urllib.parse import urlsplit

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, agent_run, instance, until
from tests.e2e.webproxies import PLENTY, made, runs

log = logging.getLogger(__name__)

WITHIN = 2.0
"""Seconds from the end of the connection to the run's."""


@pytest.fixture(scope="module")
def single(namespace: Namespace) -> Iterator[Endpoint]:
    """An instance that has one run at a time."""
    web_endpoint = {"enabled": True, "rateLimit": PLENTY}
    yield from made(namespace, instance("single", model="slow:600:100", webEndpoint=web_endpoint, maxConcurrentRuns=1))


def queued(endpoint: Endpoint, run: str) -> bool:
    return not endpoint.namespace.list("jobs", "-l", f"sympozium.ai/run={run}")


def starting(endpoint: Endpoint, run: str) -> bool:
    """Its pod is there, and has not spoken."""
    return bool(endpoint.namespace.list("pods", "-l", f"sympozium.ai/run={run}"))


def streaming(endpoint: Endpoint, run: str) -> bool:
    return endpoint.namespace.status("run", run).get("phase") == "Running"


@pytest.fixture
def phase(request: pytest.FixtureRequest, single: Endpoint) -> Iterator[Callable[[Endpoint, str], bool]]:
    """Give the check that a run has come as far as the test wants it."""
    if request.param is queued:
        single.namespace.apply(agent_run("in-the-way", agentRef="single", task="x"))
        until(lambda: single.namespace.status("run", "in-the-way").get("phase") == "Running", within=30)
    yield request.param
    single.namespace.delete("run", "in-the-way")


@pytest.mark.measures
@pytest.mark.parametrize("phase", [queued, starting, streaming], indirect=True)
@pytest.mark.parametrize("stream", [False, True], ids=["blocking", "streamed"])
def test_the_run_is_cancelled(single: Endpoint, phase: Callable[[Endpoint, str], bool], stream: bool) -> None:
    before = set(runs(single))
    with Caller(single) as caller:
        caller.sends({"messages": [{"role": "user", "content": "hello"}], "stream": stream})
        run = until(lambda: next(iter(set(runs(single)) - before), ""), within=10)
        until(lambda: phase(single, run), within=30)
        if stream and phase is streaming:
            until(lambda: b"data: " in (caller.receives() or b""), within=10)
    left = time.monotonic()
    assert single.namespace.run_ends(run, within=WITHIN)["phase"] == "Cancelled"
    cancelled = time.monotonic() - left
    until(lambda: not single.namespace.list("pods", "-l", f"sympozium.ai/run={run}"), within=10)
    log.info("cancelled after %.2f s, pod gone after %.2f s", cancelled, time.monotonic() - left)


class TestSlowSenders:
    """Against the Service itself: nothing stands in between."""

    HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

    def test_they_are_cut_off_within_fifteen_seconds_and_cost_the_others_nothing(self, chat: Endpoint) -> None:
        body = self.HEAD + b"Content-Length: 100\r\nAuthorization: Bearer " + chat.key.encode() + b"\r\n\r\n{"
        slow = [b"", b"POST /v1/chat", self.HEAD + b"x-slow: ", body]
        with ThreadPoolExecutor() as pool:
            cut = list(pool.map(lambda beginning: self.until_cut(chat, beginning), slow * 5))
            assert chat.chat().status_code == 200
        log.info("cut off after %s s", [round(seconds, 1) for seconds, _ in cut])
        assert all(14 < seconds < 28 for seconds, _ in cut)
        assert [said.partition(b"\r\n")[0] for _, said in cut[1:4]] == [b"HTTP/1.1 408 Request Timeout"] * 3

    def until_cut(self, endpoint: Endpoint, beginning: bytes) -> tuple[float, bytes]:
        """Send this, and then a byte every second. Seconds until nothing more is taken, and what was answered."""
        began = time.monotonic()
        with Caller(endpoint) as caller:
            caller.connection.sendall(beginning)
            while time.monotonic() - began < 40:
                said = caller.receives(within=1.0)
                if said is not None:
                    return time.monotonic() - began, said
                if beginning:
                    caller.connection.sendall(b"x")
        raise AssertionError("it was not cut off")


class Caller:
    """One connection, with no library that would mend what it does."""

    def __init__(self, endpoint: Endpoint) -> None:
        address = urlsplit(endpoint.url)
        self.endpoint = endpoint
        self.connection = socket.create_connection((address.hostname, address.port), timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def sends(self, body: Object) -> None:
        data = json.dumps(body).encode()
        head = TestSlowSenders.HEAD + f"Authorization: Bearer {self.endpoint.key}\r\n".encode()
        self.connection.sendall(head + f"Content-Length: {len(data)}\r\n\r\n".encode() + data)

    def receives(self, *, within: float = 30.0) -> bytes | None:
        """Return the next bytes: empty when the connection ends, None when nothing came."""
        self.connection.settimeout(within)
        try:
            return self.connection.recv(65536)
        except TimeoutError:
            return None

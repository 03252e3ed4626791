"""Random bytes through a socket: they never cause an error of the server's, and leave nothing behind.

The web-proxy runs in a process of its own, where memory, descriptors and tasks can be counted. A thousand requests here;
``make fuzz`` sends 100,000.
"""

import contextlib
import json
import logging
import random
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import requests
import schemathesis
import schemathesis.specs.openapi.schemas  # its loader imports this late, where Python 3.11 may fail to compile (AST recursion depth)
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.replica import KEY, Replica, running
from tests.integration.mutants import MUTATIONS

from sympozium_webproxy.assembly import WebProxy, assemble
from sympozium_webproxy.settings import WebProxySettings

log = logging.getLogger(__name__)

MUTANTS = 19
"""Of each request; with it they are 20."""
MOST_MB = 20
"""By which memory may grow: what is imported late, caches that fill up. A leak of 200 bytes per request would be as much."""
MOST_POOLED = 100
"""Connections to the API server that the web-proxy keeps."""
RECEIVE_SECONDS = 2.0
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    with running(tmp_path, receive_seconds=RECEIVE_SECONDS) as found:
        yield found


def described() -> WebProxy:
    return assemble(FakeKubernetes(), WebProxySettings("default", "demo", "127.0.0.1"), FakeClock())


def documented_requests() -> st.SearchStrategy[tuple[str, bytes]]:
    """A request of every operation in our OpenAPI, right or wrong, and the port that it is for."""
    schema = schemathesis.openapi.from_dict(described().app.openapi())
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    return st.one_of(
        [operation.as_strategy(generation_mode=mode) for operation in operations for mode in GenerationMode]
    ).map(lambda case: ("url", _bytes(case)))


def routed_requests() -> st.SearchStrategy[tuple[str, bytes]]:
    """Any method and body on every route of both ports, whether the OpenAPI knows it or not."""
    proxy = described()
    places = [("url", path) for path in _paths(proxy.app.routes)]
    places += [("surface", path) for path in _paths(proxy.agent_api.routes)]
    methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW"])
    return st.builds(
        lambda place, method, body: (place[0], _request(method, place[1], body)),
        st.sampled_from(places),
        methods,
        st.binary(max_size=200),
    )


def _paths(routes: Iterable[Any]) -> Iterator[str]:
    for route in routes:
        if isinstance(path := getattr(route, "path", None), str):
            yield path
        yield from _paths(getattr(getattr(route, "original_router", None), "routes", ()))  # of an included router


def _bytes(case: Case[Any]) -> bytes:
    asked = requests.Request(**case.as_transport_kwargs(base_url="http://web-proxy")).prepare()
    body = asked.body if isinstance(asked.body, bytes) else str(asked.body or "").encode()
    return _request(asked.method or "", asked.path_url, body)


def _request(method: str, path: str, body: bytes) -> bytes:
    about = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nauthorization: Bearer {KEY}\r\n"
    return f"{method} {path} HTTP/1.1\r\nhost: web-proxy\r\n{about}\r\n".encode() + body


def told(address: str, sent: bytes, *, patient: bool) -> bytes:
    """Return the answer to some bytes; a client that is not patient closes its side at once."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        received = b""
        with contextlib.suppress(ConnectionError):  # it was cut off
            connection.sendall(sent)
            if not patient:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
                if patient and b"event-stream" in received:
                    break  # it may have no end
    return received


def eventually(holds: Callable[[], bool], why: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


def failures(replica: Replica) -> list[str]:
    """Return the metrics by which the web-proxy counts its own errors."""
    return [
        line
        for line in httpx2.get(f"{replica.metrics_url}/metrics", timeout=60).text.splitlines()
        if re.search(r'status="5', line)
    ]


def test_no_request_causes_a_server_error_or_leaves_anything(replica: Replica) -> None:
    tasks, descriptors, failed = replica.tasks(), replica.descriptors, failures(replica)
    whole = _request("POST", "/v1/chat/completions", b'{"messages":[{"role":"user","content":"hello"}]}')
    for _ in range(100):
        assert b" 200 OK" in told(replica.url, whole.replace(b"host:", b"connection: close\r\nhost:"), patient=True)
    before, count = replica.resident_mb, 0

    @settings(max_examples=settings().max_examples // 2)
    @given(documented_requests() | documented_requests() | routed_requests(), st.integers(0, 2**32))
    def send(asked: tuple[str, bytes], seed: int) -> None:
        nonlocal count
        address, chance = getattr(replica, asked[0]), random.Random(seed)
        closing = asked[1].replace(b"\r\nhost:", b"\r\nconnection: close\r\nhost:", 1)
        answers = [told(address, closing, patient=True)]
        answers += [told(address, chance.choice(MUTATIONS)(asked[1], chance), patient=False) for _ in range(MUTANTS)]
        count += len(answers)
        for answer in answers:
            assert all(int(status) < 500 for status in _STATUS.findall(answer)), answer[:2000]

    send()

    eventually(lambda: replica.tasks() <= tasks, lambda: f"{replica.tasks()} tasks, {tasks} before")
    most = descriptors + MOST_POOLED
    eventually(lambda: replica.descriptors <= most, lambda: f"{replica.descriptors} descriptors, {descriptors} before")
    assert failures(replica) == failed
    assert '"level": "error"' not in (replica.folder / "web-proxy.log").read_text()
    now = replica.resident_mb
    log.info("%d requests; memory %.1f MB before, %.1f MB after", count, before, now)
    assert now - before < MOST_MB


def test_the_openapi_says_what_is_checked_of_every_body() -> None:
    document = described().app.openapi()
    for path in ("/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert "model" in body["properties"]
        assert "$ref" not in json.dumps(body)
    assert document["info"]["version"] == version("sympozium")
    assert document["security"] == [{"bearer": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []


def test_slow_senders_are_cut_off_and_leave_nothing(replica: Replica) -> None:
    whole = _request("POST", "/v1/chat/completions", b"{}")
    before, began = (replica.descriptors, replica.tasks()), time.monotonic()
    parts = urlsplit(replica.url)
    connections = [socket.create_connection((parts.hostname, parts.port)) for _ in range(200)]
    for number, connection in enumerate(connections):
        connection.sendall((b"", whole[:1], whole[:40], whole[:-1])[number % 4])
        connection.settimeout(RECEIVE_SECONDS + 10)

    said = [connection.recv(4096) for connection in connections]

    assert time.monotonic() - began < RECEIVE_SECONDS + 10
    assert {answer[:12] for answer in said} == {b"", b"HTTP/1.1 408"}
    for connection in connections:
        connection.close()
    eventually(lambda: replica.descriptors <= before[0], lambda: f"{replica.descriptors} descriptors")
    eventually(lambda: replica.tasks() <= before[1], lambda: f"{replica.tasks()} tasks")

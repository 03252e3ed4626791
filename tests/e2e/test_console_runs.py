"""Runs that the console starts on a cluster: with and without a web endpoint, streamed, and continued after a replica died."""

import contextlib
import secrets
from collections.abc import Iterator

import httpx2
import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, instance, responds, until
from tests.e2e.consoles import Console, console
from tests.e2e.signals import signals

__all__ = ["console"]

QUIET = "console-quiet"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def quiet(namespace: Namespace) -> str:
    """An instance without a web endpoint, whose model sends a token every 150 ms: those of one record come together."""
    namespace.apply(instance(QUIET, model="slow:40:150"))
    return QUIET


def starts(console: Console, agent: str, **headers: str) -> str:
    started = console.asks("POST", "runs", json={"agentRef": agent, "task": "say hello"}, headers=headers)
    assert started.status_code == 201, started.text
    name: str = started.json()["metadata"]["name"]
    return name


def pieces(events: Iterator[tuple[str, Object]]) -> Iterator[Object]:
    return (data for kind, data in events if kind == "delta")


def test_an_answer_is_streamed_without_a_web_endpoint(console: Console, quiet: str) -> None:
    run = starts(console, quiet, traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    events = list(console.follow(run))
    sent = [data for kind, data in events if kind == "delta"]
    kind, status = events[-1]
    assert (kind, status["phase"]) == ("status", "Succeeded")
    assert len(sent) > 10  # piece by piece
    assert "".join(piece["content"] for piece in sent) == status["result"]
    assert sent[-1]["after"] == len(status["result"])
    stored = console.get(f"runs/{run}")
    assert stored["spec"]["caller"] == {"user": "token", "scopes": ["tools:write"]}
    assert TRACE in stored["metadata"]["annotations"]["sympozium.ai/traceparent"]


def test_an_answer_is_streamed_beside_a_web_endpoint(console: Console, chat: Endpoint) -> None:
    """Its pod sends its records to the console, not to the web-proxies."""
    chat.use_model("slow:40:150")
    events = list(console.follow(starts(console, "chat")))
    assert events[-1][1]["phase"] == "Succeeded"
    assert len(list(pieces(iter(events)))) > 10


@pytest.mark.alone  # it kills the console that other tests ask
def test_a_replica_that_dies_loses_no_run_and_its_caller_continues(
    console: Console, namespace: Namespace, webproxy_image: str
) -> None:
    quiet = "console-lasting"
    namespace.apply(instance(quiet, model="slow:300:100"))  # longer than a busy machine takes to send the signal
    key = {"Idempotency-Key": secrets.token_hex(8)}
    text, after = "", 0
    with signals(webproxy_image) as to, contextlib.suppress(httpx2.TransportError):
        run = starts(console, quiet, **key)
        for piece in pieces(console.follow(run)):
            is_first = not text
            text, after = text + piece["content"], piece["after"]
            if is_first:
                to.send("sympozium_console", "SYMPOZIUM_NAMESPACE=sympozium-system", "KILL")
    until(lambda: responds(f"{console.url}/readyz"), within=90)
    rest = until(lambda: list(console.follow(run, after=str(after))), within=90)
    status = rest[-1][1]
    assert status["phase"] == "Succeeded", status
    assert text + "".join(piece["content"] for piece in pieces(iter(rest))) == status["result"]
    assert 0 < after < len(status["result"])  # the stream was cut off
    found = console.asks("POST", "runs", json={"agentRef": quiet, "task": "say hello"}, headers=key)
    assert (found.status_code, found.json()["metadata"]["name"]) == (200, run)

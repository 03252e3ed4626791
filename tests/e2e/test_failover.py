"""Two operators: one follows the other, even one that ends without a word.

Without SIGTERM there is no time to give the Lease back, so the process itself gets the signal.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from tests.e2e.conftest import NOW, Endpoint, Namespace, installed_with, until
from tests.e2e.figures import operators
from tests.e2e.signals import signals

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("two_operators")]

WITHIN = 20
"""Seconds after which another replica works: the Lease runs out after 15."""


@pytest.fixture(scope="module")
def _two_operators() -> Iterator[None]:
    with installed_with("operator.replicas=2"):
        yield


@pytest.fixture
def two_operators(_two_operators: None, system: Namespace) -> None:
    """Two operators that are ready, whatever the test before did to one of them."""
    system.kubectl("rollout", "status", "deployment/sympozium-operator", "--timeout=3m")


@pytest.fixture
def send(webproxy_image: str) -> Iterator[Callable[[str, str], None]]:
    """Sends a signal to the operator in a pod."""
    with signals(webproxy_image) as to:
        yield lambda pod, signal: to.send("sympozium_operator", pod, signal)


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def lease(system: Namespace) -> dict[str, str]:
    spec: dict[str, str] = system.get("lease", "sympozium-operator")["spec"]
    return spec


def leader(system: Namespace) -> str:
    return lease(system).get("holderIdentity", "")


def test_a_leader_that_hangs_is_followed_and_stops_when_it_wakes_up(
    chat: Endpoint, system: Namespace, send: Callable[[str, str], None], background: ThreadPoolExecutor
) -> None:
    first = until(lambda: leader(system), within=30)
    send(first, "STOP")
    try:
        asked = background.submit(chat.chat)  # it needs a Job, which only a leader makes
        second = until(lambda: found if (found := leader(system)) != first else None, within=WITHIN)
        assert asked.result().status_code == 200
    finally:
        send(first, "CONT")
    until(lambda: leads(system) == [second], within=30, why=lambda: leads(system))
    assert leader(system) == second
    assert chat.chat().status_code == 200


def test_a_leader_that_is_killed_is_followed(
    chat: Endpoint, system: Namespace, send: Callable[[str, str], None], background: ThreadPoolExecutor
) -> None:
    """By the other replica or by its own next container, whichever is there first."""
    first = until(lambda: leader(system), within=30)
    send(first, "KILL")
    asked, last_words = background.submit(chat.chat), lease(system)["renewTime"]
    until(lambda: lease(system)["renewTime"] != last_words, within=WITHIN)
    assert asked.result().status_code == 200


def test_a_leader_that_is_deleted_is_followed_by_the_second(chat: Endpoint, system: Namespace) -> None:
    first = until(lambda: leader(system), within=30)
    system.delete("pod", first, *NOW)
    assert chat.chat().status_code == 200
    assert until(lambda: leader(system) != first and leader(system), within=20)


def leads(system: Namespace) -> list[str]:
    """The pods that hold themselves for the leader; one that is just beginning anew does not answer."""
    try:
        return [pod for pod, leading in operators(system, "sympozium_operator_leader").items() if leading]
    except httpx2.TransportError:
        return []

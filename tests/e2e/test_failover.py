"""An operator that ends without a word: no SIGTERM, no time to give its Lease back.

``kubectl delete pod --force`` is not that: the kubelet sends SIGTERM all the same, and the Lease is released. So the process itself gets
the signal, from outside of its container, where it cannot be caught.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, installed_with, until

WITHIN = 20
"""Seconds after which another replica works: the Lease runs out after 15."""

SEND = """
import os, pathlib, signal, sys
pod, name = sys.argv[1:]
for process in pathlib.Path('/proc').glob('[0-9]*'):
    try:
        if b'sympozium_operator' in (process / 'cmdline').read_bytes() and pod.encode() in (process / 'environ').read_bytes():
            os.kill(int(process.name), signal.Signals['SIG' + name])
            print('sent')
    except OSError:
        pass
"""


@pytest.fixture
def send(webproxy_image: str) -> Iterator[Callable[[str, str], None]]:
    """Sends a signal to the operator in a pod, by a pod that sees all processes of the node."""
    default, name = Namespace("default"), "e2e-signals"
    container = {
        "name": "signals",
        "image": webproxy_image,
        "command": ["python", "-c", "import time; time.sleep(600)"],
        "securityContext": {"privileged": True, "runAsUser": 0},
    }
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
    default.apply(pod | {"spec": {"hostPID": True, "terminationGracePeriodSeconds": 0, "containers": [container]}})
    default.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")

    def to(pod: str, signal: str) -> None:
        assert "sent" in default.kubectl("exec", name, "--", "python", "-c", SEND, pod, signal)

    yield to
    default.delete("pod", name)


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
    with installed_with("operator.replicas=2"):
        first = until(lambda: leader(system), within=30)
        send(first, "STOP")
        try:
            asked = background.submit(chat.chat)  # it needs a Job, which only a leader makes
            second = until(lambda: found if (found := leader(system)) != first else None, within=WITHIN)
            assert asked.result(timeout=60).status_code == 200
        finally:
            send(first, "CONT")
        until(lambda: restarts(system, first), within=30)
        assert leader(system) == second
        assert chat.chat().status_code == 200


def test_a_leader_that_is_killed_is_followed(
    chat: Endpoint, system: Namespace, send: Callable[[str, str], None], background: ThreadPoolExecutor
) -> None:
    """By the other replica or by its own next container, whichever is there first."""
    with installed_with("operator.replicas=2"):
        first = until(lambda: leader(system), within=30)
        send(first, "KILL")
        asked, last_words = background.submit(chat.chat), lease(system)["renewTime"]
        until(lambda: lease(system)["renewTime"] != last_words, within=WITHIN)
        assert asked.result(timeout=60).status_code == 200


def restarts(system: Namespace, pod: str) -> int:
    [container] = system.status("pod", pod)["containerStatuses"]
    count: int = container["restartCount"]
    return count

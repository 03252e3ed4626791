"""An operator that ends without a word: no SIGTERM, no time to give its Lease back.

``kubectl delete pod --force`` is not that: the kubelet sends SIGTERM all the same, and the Lease is released. So the process itself gets
the signal, from outside of its container, where it cannot be caught.
"""

import time
from collections.abc import Callable, Iterator

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


def leader(system: Namespace) -> str:
    holder: str = system.get("lease", "sympozium-operator")["spec"].get("holderIdentity", "")
    return holder


def test_a_leader_that_hangs_is_followed_and_stops_when_it_wakes_up(
    chat: Endpoint, system: Namespace, send: Callable[[str, str], None]
) -> None:
    with installed_with("operator.replicas=2"):
        first = until(lambda: leader(system), within=30)
        send(first, "STOP")
        began = time.monotonic()
        try:
            assert chat.chat().status_code == 200  # it needs a Job, which only a leader makes
            assert time.monotonic() - began < WITHIN
            second = leader(system)
            assert second not in ("", first)
        finally:
            send(first, "CONT")
        until(lambda: restarts(system, first), within=30)
        assert leader(system) == second
        assert chat.chat().status_code == 200


def test_a_leader_that_is_killed_is_followed(
    chat: Endpoint, system: Namespace, send: Callable[[str, str], None]
) -> None:
    with installed_with("operator.replicas=2"):
        first = until(lambda: leader(system), within=30)
        send(first, "KILL")
        began = time.monotonic()
        assert chat.chat().status_code == 200
        assert time.monotonic() - began < WITHIN


def restarts(system: Namespace, pod: str) -> int:
    [container] = system.status("pod", pod)["containerStatuses"]
    count: int = container["restartCount"]
    return count

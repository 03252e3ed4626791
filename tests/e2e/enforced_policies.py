"""NetworkPolicies of a namespace enforced on the node by tests/fakes/policy_engine.py, and connections that show it."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.e2e.conftest import Namespace, Object
from tests.fakes import policy_engine

CONNECT = (
    "import socket, sys\n"
    "for where in sys.argv[1:]:\n"
    "    host, port = where.rsplit(':', 1)\n"
    "    try: socket.create_connection((host.strip('[]'), int(port)), timeout=2).close(); print('open')\n"
    "    except ConnectionRefusedError: print('refused')\n"
    "    except OSError: print('closed')\n"
)
"""Refused comes from a pod that was reached; closed: nothing came back."""


def ways(namespace: Namespace, pod: str, *addresses: str) -> list[str]:
    """Return the outcome of each connection from a pod."""
    return namespace.kubectl("exec", pod, "--", "python", "-c", CONNECT, *addresses).split()


def seen(name: str) -> policy_engine.Cluster:
    """The cluster now; policies of one namespace only, so that other tests' pods are left alone."""

    def listed(kind: str, *where: str) -> list[Object]:
        done = subprocess.run(
            ["kubectl", "get", kind, *where, "-o", "json"], capture_output=True, text=True, check=True
        )
        items: list[Object] = json.loads(done.stdout)["items"]
        return items

    return policy_engine.Cluster(listed("namespaces"), listed("pods", "-A"), listed("networkpolicies", "-n", name))


@contextmanager
def enforced(namespace: Namespace) -> Iterator[None]:
    """Policies of the namespace hold, for pods that come later too."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(0.2):
            with suppress(subprocess.CalledProcessError):  # an API server that is away for a moment is asked again
                policy_engine.write(policy_engine.ruleset(seen(namespace.name)))

    policy_engine.write(policy_engine.ruleset(seen(namespace.name)))
    follower = threading.Thread(target=follow)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join()
        policy_engine.remove()


def pod_of(namespace: Namespace, *selector: str) -> Object:
    """The only pod of these labels that runs and is not to go."""
    pods = namespace.list("pods", "-l", ",".join(selector), "--field-selector=status.phase=Running")
    [pod] = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return pod

"""Simulated nodes: kwok says that their pods run, and nothing does."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.conftest import Namespace, Refused, installed_with, until

from sympozium_api.client import ResourceType
from sympozium_api.resources import INSTANCES, RUNS

ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
"""In front of a command: it would otherwise outlive a measurement that is killed, and take part in the next one."""
COUNT = 4
SIMULATED = {"type": "kwok"}
"""Label of the nodes."""
LEASE_SECONDS = 40
PATIENCE = 600
"""Seconds for all pods of a namespace to go."""
_CONFIG = Path(__file__).with_name("kwok.yaml")
_ANNOTATION = "kwok.x-k8s.io/node=fake"


@contextmanager
def simulated(folder: Path, *values: str, parts: tuple[str, ...] = ("agent",)) -> Iterator[None]:
    """Nodes on which the pods of these parts of the chart go, and nothing else; ``values``: more of the chart's."""
    cluster = Namespace("default")
    placed = [
        value
        for part in parts
        for value in (
            f"{part}.nodeSelector.type=kwok",
            f"{part}.tolerations[0].key=kwok",
            f"{part}.tolerations[0].operator=Exists",
        )
    ]
    words = (*ENDS_WITH_US, "kwok", f"--kubeconfig={os.environ['KUBECONFIG']}", f"--config={_CONFIG}")
    choice = f"--manage-nodes-with-annotation-selector={_ANNOTATION}"
    with (folder / "kwok.log").open("w") as log:
        kwok = subprocess.Popen(
            [*words, choice, f"--node-lease-duration-seconds={LEASE_SECONDS}"], stdout=log, stderr=log
        )
        try:
            cluster.apply(*(_node(f"kwok-{number}") for number in range(COUNT)))
            until(_ready, within=30, why=lambda: (folder / "kwok.log").read_text()[-1000:])
            with installed_with(*placed, *values):
                yield
        finally:
            cluster.kubectl("delete", "nodes", "--selector=type=kwok")
            kwok.terminate()
            kwok.wait()


def remove(namespace: Namespace) -> None:
    """Delete a namespace, while there are nodes that let its pods go. Nobody waits for its end: Kubernetes reckons with the time that
    the web-proxies, which have gone by then, may take.
    """
    for kind in (INSTANCES, RUNS):
        until(lambda kind=kind: _cleared(namespace, kind), within=PATIENCE)  # type: ignore[misc]
    until(lambda: not namespace.list("pods"), within=PATIENCE)
    namespace.delete("namespace", namespace.name, "--wait=false")


def _cleared(namespace: Namespace, kind: ResourceType) -> bool:
    try:
        namespace.kubectl("delete", "--raw", kind.path(namespace.name))
    except Refused:  # of thousands, only some are deleted before the API server's time is over
        return False
    return True


def _ready() -> bool:
    nodes = Namespace("default").list("nodes", "--selector=type=kwok")
    conditions = [condition for node in nodes for condition in node.get("status", {}).get("conditions", [])]
    return [condition["status"] for condition in conditions if condition["type"] == "Ready"] == ["True"] * COUNT


def _node(name: str) -> dict[str, object]:
    key, _, value = _ANNOTATION.partition("=")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": SIMULATED, "annotations": {key: value}},
        "spec": {"taints": [{"key": "kwok", "effect": "NoSchedule"}]},
    }

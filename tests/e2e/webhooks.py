"""A webhook in a namespace of the cluster, which keeps what reached it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx2
from tests.e2e.conftest import LONGEST, Namespace, Object, authority, responds, scripted_server, until

SERVER = Path(__file__).parents[1] / "fakes/webhook_pod.py"


@dataclass(frozen=True)
class Webhook:
    """The webhook ``webhook`` of a namespace (tests/fakes/webhook_pod.py)."""

    namespace: Namespace

    @property
    def host(self) -> str:
        """Host name as the egress guard resolves it."""
        return f"webhook.{self.namespace.name}.svc"

    @property
    def base(self) -> str:
        """URL as Tools have it."""
        return f"http://{self.host}:8080"

    @cached_property
    def url(self) -> str:
        """By the Service's address: outside of pods nobody resolves its name."""
        return f"http://{authority(self.namespace.get('service', 'webhook')['spec']['clusterIP'], 8080)}"

    def received(self, name: str) -> list[Object]:
        """Requests to ``/NAME``, in the order of their arrival."""
        calls: list[Object] = httpx2.get(f"{self.url}/received", timeout=LONGEST).json()
        return [call for call in calls if call["path"] == f"/{name}"]


def deployed(namespace: Namespace, image: str) -> Webhook:
    """A webhook that answers. The egress guard of a local cluster may reach private networks (local/charts.sh)."""
    namespace.apply(*scripted_server("webhook", SERVER, image))
    namespace.kubectl("rollout", "status", "deployment/webhook", "--timeout=4m")
    found = Webhook(namespace)
    until(lambda: responds(f"{found.url}/healthz"), within=10)
    return found

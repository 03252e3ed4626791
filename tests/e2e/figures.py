"""Metrics of the parts, read where a Prometheus would read them."""

import re

import httpx2
from tests.e2e.conftest import Namespace, authority


def figure(url: str, name: str) -> float:
    """A metric, as it is now."""
    [value] = re.findall(rf"^{re.escape(name)} (\S+)$", httpx2.get(f"{url}/metrics", timeout=30).text, re.MULTILINE)
    return float(value)


def operators(system: Namespace, name: str) -> dict[str, float]:
    """A metric of each of the operator's pods."""
    pods = system.list("pods", "-l", "app.kubernetes.io/component=operator")
    addresses = {pod["metadata"]["name"]: f"http://{authority(pod['status']['podIP'], 9090)}" for pod in pods}
    return {pod: figure(address, name) for pod, address in addresses.items()}

"""Every port of every part answers on each address of its pod: on IPv4 and IPv6, where the cluster has both."""

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, authority, responds

PARTS = {
    "operator": {9090: "healthz"},
    "runs": {8081: "healthz", 9090: "metrics"},
    "console": {8080: "healthz", 8081: "healthz", 9090: "metrics"},
}


@pytest.mark.parametrize("component", PARTS)
def test_a_part_answers_on_each_address(system: Namespace, component: str) -> None:
    pods = system.list("pods", "-l", f"app.kubernetes.io/component={component}")
    assert_answers(pods, PARTS[component])


def test_a_web_proxy_answers_on_each_address(chat: Endpoint) -> None:
    pods = chat.namespace.list("pods", "-l", f"sympozium.ai/run={chat.run}")
    assert_answers(pods, {8080: "healthz", 8081: "healthz", 9090: "metrics"})


def assert_answers(pods: list[Object], ports: dict[int, str]) -> None:
    there = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    addresses = [address["ip"] for pod in there for address in pod["status"]["podIPs"]]
    assert addresses
    urls = [f"http://{authority(address, port)}/{path}" for address in addresses for port, path in ports.items()]
    assert [url for url in urls if not responds(url)] == []

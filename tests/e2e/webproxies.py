"""Instances of a test's own, with as many web-proxies as it asks for."""

from collections.abc import Iterator

from tests.e2e.conftest import Endpoint, Namespace, Object, authority, until

PLENTY = {"requestsPerMinute": 60_000, "burstSize": 1000}


def made(namespace: Namespace, body: Object) -> Iterator[Endpoint]:
    endpoint = Endpoint(namespace, body["metadata"]["name"])
    namespace.apply(body)
    settled(endpoint)
    yield endpoint.serves()
    endpoint.close()
    namespace.delete("instance", endpoint.instance)
    until(lambda: not pods(endpoint, going=True), within=120)


def pods(endpoint: Endpoint, *, going: bool = False) -> list[Object]:
    """The web-proxy's pods; with ``going`` those too that are to go."""
    found = endpoint.namespace.list("pods", "-l", f"sympozium.ai/run={endpoint.run}")
    return [pod for pod in found if going or "deletionTimestamp" not in pod["metadata"]]


def addresses(endpoint: Endpoint) -> list[str]:
    """Return the address of each of the web-proxy's pods."""
    return [f"http://{authority(pod['status']['podIP'], 8080)}" for pod in pods(endpoint)]


def settled(endpoint: Endpoint) -> None:
    """Wait until the newest kind of pods is there, all of them ready, and every older one has gone."""
    server = f"{endpoint.run}-server"
    until(lambda: not gone(endpoint.namespace, "deployment", server), within=30)
    endpoint.namespace.kubectl("rollout", "status", f"deployment/{server}", "--timeout=4m")
    for pod in pods(endpoint, going=True):
        if "deletionTimestamp" in pod["metadata"]:
            endpoint.namespace.kubectl("wait", "--for=delete", f"pod/{pod['metadata']['name']}", "--timeout=4m")


def runs(endpoint: Endpoint) -> dict[str, Object]:
    """The instance's runs of requests, by name."""
    found = endpoint.namespace.list("runs", "-l", f"sympozium.ai/instance={endpoint.instance}")
    return {run["metadata"]["name"]: run for run in found if run["spec"]["mode"] == "task"}


def gone(namespace: Namespace, kind: str, name: str) -> bool:
    return not namespace.kubectl("get", kind, name, "--ignore-not-found")

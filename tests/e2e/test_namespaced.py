"""The chart for a list of namespaces: nothing cluster-wide, two releases side by side, and who is not listed is left alone."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest
from tests.e2e.conftest import (
    Endpoint,
    Namespace,
    Refused,
    agent_run,
    helm,
    installed_with,
    instance,
    model_server,
    until,
)


@contextmanager
def a_namespace(image: str) -> Iterator[Namespace]:
    """One with a model in it and an instance that nobody serves yet."""
    found = Namespace(f"e2e-{secrets.token_hex(3)}")
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.name}})
    try:
        found.apply(*model_server(image))
        yield found
    finally:
        Namespace("default").delete("namespace", found.name, "--wait=false")


@pytest.fixture
def a_place(webproxy_image: str) -> Iterator[Callable[[], Namespace]]:
    """Makes namespaces."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(a_namespace(webproxy_image))


@contextmanager
def another_release(home: Namespace, *served: Namespace) -> Iterator[None]:
    """A second installation, with the images and values of the first one, in a namespace of its own."""
    values = helm("get", "values", "sympozium", "--output", "yaml")
    listed = ",".join(namespace.name for namespace in served)
    words = ("charts/sympozium", "--namespace", home.name, f"--set=namespaces={{{listed}}}", "--values=-", "--wait")
    helm("install", "second", *words, stdin=values)
    try:
        yield
    finally:
        helm("uninstall", "second", "--namespace", home.name, "--wait")


def only(*served: Namespace) -> AbstractContextManager[None]:
    return installed_with(f"namespaces={{{','.join(namespace.name for namespace in served)}}}")


def test_two_releases_serve_what_is_listed_and_leave_the_rest_alone(
    a_place: Callable[[], Namespace], system: Namespace
) -> None:
    first, second, home, nobodys = (a_place() for _ in range(4))
    with only(first), another_release(home, second):
        assert not cluster_wide(system)
        for namespace in (first, second, home, nobodys):
            namespace.apply(
                instance("local", webEndpoint={"enabled": True}), agent_run("by-hand", task="hello", agentRef="local")
            )
        for namespace in (first, second, home):
            endpoint = Endpoint(namespace, "local").serves()
            assert endpoint.chat().status_code == 200
            endpoint.close()
            assert namespace.run_ends("by-hand")["phase"] == "Succeeded"
        assert held_by(home) != held_by(system)
        assert "status" not in nobodys.get("instance", "local")
        assert nobodys.status("run", "by-hand").get("phase") in (None, "Pending")
        with pytest.raises(Refused, match="not found"):
            nobodys.get("serviceaccount", "local-agent")
        repaired(first)
    # The whole cluster is served again.
    Endpoint(nobodys, "local").serves()
    assert cluster_wide(system) == {"sympozium-operator", "sympozium-runs"}


def repaired(namespace: Namespace) -> None:
    """Watches work by namespace too."""
    namespace.delete("rolebinding", "local-web-endpoint")
    until(lambda: namespace.kubectl("get", "rolebinding", "local-web-endpoint", "--ignore-not-found"), within=10)


def test_a_pod_that_no_node_can_hold_is_still_an_answer_where_nodes_cannot_be_seen(
    a_place: Callable[[], Namespace],
) -> None:
    place = a_place()
    with installed_with(
        f"namespaces={{{place.name}}}",
        "runs.startTimeout=5s",
        "agent.resources.requests.cpu=1000",
        "agent.resources.limits.cpu=1000",
    ):
        place.apply(instance("quiet"), agent_run("huge", task="hello"))
        status = place.run_ends("huge", within=30)
    assert status["error"]["type"] == "start_failed"
    assert "Insufficient cpu" in status["error"]["message"]


def cluster_wide(system: Namespace) -> set[str]:
    """Names of the ClusterRoles of the charts that are installed."""
    ours = ("-l", "app.kubernetes.io/part-of=sympozium")
    found = [*system.list("clusterroles", *ours), *system.list("clusterrolebindings", *ours)]
    return {item["metadata"]["name"] for item in found}


def held_by(namespace: Namespace) -> str:
    holder: str = namespace.get("lease", "sympozium-operator")["spec"]["holderIdentity"]
    return holder

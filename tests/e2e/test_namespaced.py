"""The chart for a list of namespaces: nothing cluster-wide, releases side by side, and who is not listed is left alone."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.e2e.conftest import (
    Endpoint,
    Namespace,
    Refused,
    agent_run,
    authority,
    helm,
    installed_with,
    instance,
    model_server,
    nobody_old_leads,
    until,
)
from tests.e2e.enforced_policies import enforced, pod_of, ways
from tests.fakes.crd_admission import unseen_status

pytestmark = pytest.mark.alone

OPERATOR = "deployment/sympozium-operator"


@pytest.fixture(scope="module")
def _without_policies(system: Namespace) -> Iterator[None]:
    with installed_with("admissionPolicies.enabled=false"):
        yield
        system.kubectl("scale", OPERATOR, "--replicas=1")
        until(nobody_old_leads, within=60)


@pytest.fixture(autouse=True)
def nobody_serves_the_whole_cluster(_without_policies: None, system: Namespace) -> None:
    """Two operators must not serve the same namespace, so the one that serves all of them rests, and its policies."""
    system.kubectl("scale", OPERATOR, "--replicas=0")
    until(lambda: not system.list("pods", "-l", "app.kubernetes.io/component=operator"), within=60)


@contextmanager
def a_namespace(image: str) -> Iterator[Namespace]:
    found = Namespace(f"e2e-{secrets.token_hex(3)}")
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.name}})
    try:
        found.apply(*model_server(image))
        yield found
    finally:
        found.remove()


@pytest.fixture
def new_namespace(webproxy_image: str) -> Iterator[Callable[[], Namespace]]:
    """Makes namespaces with a model in them."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(a_namespace(webproxy_image))


@contextmanager
def release(home: Namespace, *served: Namespace, values: tuple[str, ...] = ()) -> Iterator[None]:
    """An installation in a namespace of its own for that and some more, with the images of the one that is there."""
    release = ("local", "--namespace", home.name)
    listed = ",".join(namespace.name for namespace in served)
    settings = (f"--set=namespaces={{{listed}}}", *(f"--set={value}" for value in values))
    images = helm("get", "values", "sympozium", "--output", "yaml")
    helm("install", *release, "charts/sympozium", "--values=-", "--wait", *settings, stdin=images)
    try:
        yield
    finally:
        helm("uninstall", *release, "--wait")


def test_each_release_serves_what_it_lists_and_the_rest_is_left_alone(
    new_namespace: Callable[[], Namespace], system: Namespace
) -> None:
    one, two, listed, unlisted = (new_namespace() for _ in range(4))
    with release(one, listed), release(two, two, values=("networkPolicies.agentEgress=guarded",)):
        for home in (one, two):
            manifest = helm("get", "manifest", "local", "--namespace", home.name)
            assert "kind: Role\n" in manifest
            assert "kind: Cluster" not in manifest
        for namespace in (two, listed, unlisted):
            namespace.apply(instance("local", webEndpoint={"enabled": True}))
            namespace.apply(agent_run("by-hand", task="hello", agentRef="local"))
        for namespace in (two, listed):
            served(namespace)
        leaders = {home.get("lease", "sympozium-operator")["spec"]["holderIdentity"] for home in (one, two)}
        assert len(leaders) == 2
        left_alone(unlisted)
        guarded_agents_reach_the_outside_through_the_guard_alone(two, direct=listed, outside=unlisted)
    system.kubectl("scale", OPERATOR, "--replicas=1")
    Endpoint(unlisted, "local").serves()  # nothing stood in its way but that nobody listed it


def served(namespace: Namespace) -> None:
    """A chat, a run made with kubectl, and a repair, which needs the watches."""
    endpoint = Endpoint(namespace, "local").serves()
    assert endpoint.chat().status_code == 200
    endpoint.close()
    assert namespace.run_ends("by-hand")["phase"] == "Succeeded"
    namespace.delete("rolebinding", endpoint.run)
    until(lambda: namespace.kubectl("get", "rolebinding", endpoint.run, "--ignore-not-found"), within=10)


def guarded_agents_reach_the_outside_through_the_guard_alone(
    guarded: Namespace, *, direct: Namespace, outside: Namespace
) -> None:
    """A model of another namespace at its pod's address is outside. Refused comes from a pod that was reached, closed from none."""
    host = pod_of(outside, "app=model")["status"]["podIP"]
    cloud = {"apiVersion": "sympozium.ai/v1alpha1", "kind": "Provider", "metadata": {"name": "cloud"}}
    for namespace, way in ((direct, "refused"), (guarded, "closed")):
        namespace.apply(
            cloud | {"spec": {"type": "openai_compat", "apiBase": "https://llm.example.com/v1"}},
            instance("walled", agent={"fallbackModels": ["cloud:m"]}),
            agent_run("held", task="x", agentRef="walled", model={"model": "hang"}),
        )
        until(lambda namespace=namespace: namespace.status("run", "held").get("phase") == "Running", within=30)  # type: ignore[misc]
        agent = pod_of(namespace, "sympozium.ai/run=held")["metadata"]["name"]
        with enforced(namespace):
            assert ways(namespace, agent, authority(host, 443), "model:8080") == [way, "open"]
    with enforced(guarded):
        assert ways(guarded, agent, authority(host, 8080)) == ["closed"]
        guarded.apply(
            instance("outside", base_url=f"http://{authority(host, 8080)}/v1"),
            agent_run("tunnelled", task="hello", agentRef="outside"),
        )
        assert guarded.run_ends("tunnelled")["phase"] == "Succeeded"


def left_alone(namespace: Namespace) -> None:
    assert namespace.status("instance", "local") == unseen_status("sympoziuminstances")
    assert namespace.status("run", "by-hand") == unseen_status("agentruns")
    assert not namespace.list("jobs")
    with pytest.raises(Refused, match="not found"):
        namespace.get("serviceaccount", "local-agent")


def test_a_pod_that_no_node_can_hold_is_an_answer_where_nodes_cannot_be_seen(
    new_namespace: Callable[[], Namespace],
) -> None:
    home = new_namespace()
    huge = ("agent.resources.requests.cpu=1000", "agent.resources.limits.cpu=1000")
    with release(home, home, values=("runs.queueTimeout=12s", *huge)):
        home.apply(instance("quiet"), agent_run("huge", task="hello"))
        status = home.run_ends("huge", within=30)
    assert status["error"]["type"] == "start_failed"
    assert "Insufficient cpu" in status["error"]["message"]

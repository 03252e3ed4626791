"""An instance's web endpoint: switched on, repaired, switched off."""

from collections.abc import Iterator

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Refused, instance, until

LATER = 45
"""Seconds within which what nobody watches is put right: the operator looks at each instance at least this often."""


@pytest.fixture
def site(namespace: Namespace) -> Iterator[Endpoint]:
    namespace.apply(instance("site", webEndpoint={"enabled": True}))
    endpoint = Endpoint(namespace, "site")
    yield endpoint.serves()
    endpoint.close()
    namespace.delete("instance", "site")
    # The next test's endpoint has the same name, and its Service would still reach these for a moment.
    until(lambda: not namespace.list("pods", "-l", f"sympozium.ai/run={endpoint.run}"), within=40)


def condition(namespace: Namespace, name: str, kind: str) -> dict[str, str]:
    conditions: list[dict[str, str]] = namespace.status("instance", name).get("conditions", [])
    return next((found for found in conditions if found["type"] == kind), {})


def test_its_life(site: Endpoint) -> None:
    namespace, key = site.namespace, site.key
    assert key.startswith("sk-")
    assert len(key) == 3 + 48
    status = namespace.status("instance", "site")
    assert status["webEndpoint"] == {
        "enabled": True,
        "deploymentName": "site-web-endpoint-server",
        "serviceName": "site-web-endpoint-server",
        "gatewayReady": False,
        "authSecretName": "site-web-endpoint-web-api-key",
        "url": f"http://site-web-endpoint-server.{namespace.name}.svc:8080",
    }
    assert namespace.status("run", "site-web-endpoint")["phase"] == "Serving"
    assert site.chat().status_code == 200

    # What is deleted or edited comes back, and the key stays.
    namespace.delete("deployment", f"{site.run}-server")
    namespace.patch("service", f"{site.run}-server", {"spec": {"selector": {"sympozium.ai/run": "stolen"}}})
    namespace.delete("rolebinding", site.run)
    until(lambda: site.run in str(namespace.get("service", f"{site.run}-server")["spec"]["selector"]), within=10)
    until(lambda: namespace.kubectl("get", "rolebinding", site.run, "--ignore-not-found"), within=LATER)
    site.serves()
    assert site.key == key

    # Nothing is written once all is as it should be.
    until(lambda: not written_by_a_look(namespace), within=LATER, why=lambda: written_by_a_look(namespace))
    assert site.chat().status_code == 200

    # Switched off, all of it goes.
    namespace.patch("instance", "site", {"spec": {"webEndpoint": {"enabled": False}}})
    until(lambda: namespace.status("instance", "site")["phase"] == "Running", within=30)
    until(lambda: not children(namespace), within=120, why=lambda: f"{children(namespace)}: {pods(site)}")  # pods drain


CHILDREN = (
    ("secret", "site-web-endpoint-web-api-key"),
    ("secret", "site-web-endpoint-session-key"),
    ("serviceaccount", "site-web-endpoint"),
    ("role", "site-web-endpoint"),
    ("rolebinding", "site-web-endpoint"),
    ("service", "site-web-endpoint-server"),
    ("run", "site-web-endpoint"),
)


def written_by_a_look(namespace: Namespace) -> list[str]:
    """Let the operator look at the instance, and return the kinds of the children that it wrote."""

    def versions() -> dict[str, str]:
        return {kind: namespace.get(kind, name)["metadata"]["resourceVersion"] for kind, name in CHILDREN}

    def is_seen() -> bool:
        body = namespace.get("instance", "site")
        return bool(body["status"]["observedGeneration"] == body["metadata"]["generation"])

    before = versions()
    asked = namespace.get("instance", "site")["spec"]["agents"]["default"].get("maxTokens", 100)
    namespace.patch("instance", "site", {"spec": {"agents": {"default": {"maxTokens": asked + 1}}}})
    until(is_seen, within=10)
    return [kind for kind, version in versions().items() if version != before[kind]]


def children(namespace: Namespace) -> list[str]:
    """The children that there are."""
    return [kind for kind, name in CHILDREN if namespace.kubectl("get", kind, name, "--ignore-not-found")]


def test_a_param_that_cannot_be_read_is_a_condition_and_what_ran_goes_on(site: Endpoint) -> None:
    skill = {"skillPackRef": "web-endpoint", "params": {"rate_limit_rpm": "many"}}
    site.namespace.patch("instance", "site", {"spec": {"skills": [skill]}})
    until(lambda: condition(site.namespace, "site", "Accepted")["status"] == "False", within=10)
    assert "spec.skills[0].params.rate_limit_rpm" in condition(site.namespace, "site", "Accepted")["message"]
    assert site.chat().status_code == 200


def pods(endpoint: Endpoint) -> list[str]:
    """The web-proxy's pods, those that are to go left out."""
    found = endpoint.namespace.list("pods", "-l", f"sympozium.ai/run={endpoint.run}")
    return [pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def test_a_changed_rate_limit_holds_without_a_restart(site: Endpoint) -> None:
    before = pods(site)
    site.namespace.patch(
        "instance", "site", {"spec": {"webEndpoint": {"rateLimit": {"requestsPerMinute": 1, "burstSize": 1}}}}
    )
    refused = until(lambda: found if (found := site.chat()).status_code == 429 else None, within=15)
    assert int(refused.headers["retry-after"]) > 0
    assert pods(site) == before


def test_keys_of_ones_own_secret(namespace: Namespace, site: Endpoint) -> None:
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "own-keys"},
            "stringData": {"api-key": "sk-own", "api-key-alice": "sk-alice"},
        }
    )
    namespace.patch("instance", "site", {"spec": {"webEndpoint": {"authSecretRef": "own-keys"}}})

    def accepted(key: str) -> bool:
        response = site.http.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
        return response.status_code == 200

    until(lambda: accepted("sk-own") and accepted("sk-alice"), within=60)
    assert namespace.status("instance", "site")["webEndpoint"]["authSecretName"] == "own-keys"


def test_an_instance_with_a_field_that_is_not_supported_says_which(namespace: Namespace) -> None:
    namespace.apply(instance("modern", mcpServers=[{"name": "a", "url": "http://a"}]))
    until(lambda: condition(namespace, "modern", "Accepted"), within=10)
    assert "spec.mcpServers" in condition(namespace, "modern", "Accepted")["message"]
    namespace.delete("instance", "modern")


def test_an_image_of_the_namespaces_own_pack_is_refused_and_told_on_the_instance(namespace: Namespace) -> None:
    namespace.apply(
        {
            "apiVersion": "sympozium.ai/v1alpha1",
            "kind": "SkillPack",
            "metadata": {"name": "web-endpoint"},
            "spec": {"sidecar": {"image": "localhost:1/nothing:here", "requiresServer": True}},
        },
        instance("imageless", webEndpoint={"enabled": True}),
    )
    try:
        until(
            lambda: "spec.sidecar.image" in condition(namespace, "imageless", "Accepted").get("message", ""),
            within=60,
            why=lambda: namespace.status("instance", "imageless"),
        )
    finally:
        namespace.delete("instance", "imageless")
        namespace.delete("skillpack", "web-endpoint")


def test_a_name_that_kubernetes_cannot_serve_is_refused(namespace: Namespace) -> None:
    with pytest.raises(Refused, match="begin with a letter"):
        namespace.apply(instance("1site", webEndpoint={"enabled": True}))

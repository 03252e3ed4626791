"""An instance's web endpoint: switched on, repaired, switched off."""

from collections.abc import Iterator

import pytest
from tests.e2e.conftest import Endpoint, Namespace, Refused, instance, until

LATER = 45
"""Seconds until a deleted child is back: the operator watches all of them but Secrets."""


@pytest.fixture(scope="module")
def _site(namespace: Namespace) -> Iterator[Endpoint]:
    namespace.apply(instance("site", webEndpoint={"enabled": True}))
    endpoint = Endpoint(namespace, "site")
    yield endpoint.serves()
    endpoint.close()
    namespace.delete("instance", "site")


@pytest.fixture
def site(_site: Endpoint) -> Iterator[Endpoint]:
    """The endpoint of this file, as it was made. Its last test switches it off."""
    yield _site
    made = {"skills": None, "webEndpoint": {"rateLimit": None, "authSecretRef": None}}
    _site.namespace.patch("instance", "site", {"spec": made})
    if _site.namespace.get("instance", "site")["spec"]["webEndpoint"]["enabled"]:
        until(lambda: condition(_site.namespace, "site", "Accepted").get("status") == "True", within=10)
        until(lambda: _site.chat().status_code == 200, within=60)


def condition(namespace: Namespace, name: str, kind: str) -> dict[str, str]:
    conditions: list[dict[str, str]] = namespace.status("instance", name).get("conditions", [])
    return next((found for found in conditions if found["type"] == kind), {})


def test_a_param_that_cannot_be_read_is_a_condition_and_what_ran_goes_on(site: Endpoint) -> None:
    skill = {"skillPackRef": "web-endpoint", "params": {"rate_limit_rpm": "many"}}
    site.namespace.patch("instance", "site", {"spec": {"skills": [skill]}})
    until(lambda: condition(site.namespace, "site", "Accepted").get("status") == "False", within=10)
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


CHILDREN = (
    ("secret", "site-web-endpoint-web-api-key"),
    ("secret", "site-web-endpoint-session-key"),
    ("serviceaccount", "site-web-endpoint"),
    ("role", "site-web-endpoint"),
    ("rolebinding", "site-web-endpoint"),
    ("service", "site-web-endpoint-server"),
    ("run", "site-web-endpoint"),
)
STATUS_ONLY = "run"
"""The kind of the child whose status names the generation of the instance's spec that was observed: a changed spec writes it."""


def written_by_a_look(namespace: Namespace) -> list[str]:
    """Let the operator look at the instance, and return the kinds of the children that it wrote."""

    def versions() -> dict[str, object]:
        found = {kind: namespace.get(kind, name)["metadata"] for kind, name in CHILDREN}
        return {kind: at["generation" if kind == STATUS_ONLY else "resourceVersion"] for kind, at in found.items()}

    def is_seen() -> bool:
        """True once the operator has looked at the instance and, which is the end, at the server run."""
        body = namespace.get("instance", "site")
        conditions = namespace.status("run", "site-web-endpoint").get("conditions", [])
        seen = [body["status"].get("observedGeneration"), *(one.get("observedGeneration") for one in conditions)]
        return set(seen) == {body["metadata"]["generation"]}

    before = versions()
    asked = namespace.get("instance", "site")["spec"]["agents"]["default"].get("maxTokens", 100)
    namespace.patch("instance", "site", {"spec": {"agents": {"default": {"maxTokens": asked + 1}}}})
    until(is_seen, within=30, why=lambda: namespace.status("run", "site-web-endpoint"))
    return [kind for kind, version in versions().items() if version != before[kind]]


def children(namespace: Namespace) -> list[str]:
    """The children that there are."""
    return [kind for kind, name in CHILDREN if namespace.kubectl("get", kind, name, "--ignore-not-found")]


def test_its_life(site: Endpoint) -> None:
    namespace, key = site.namespace, site.key
    assert key.startswith("sk-")
    assert len(key) == 3 + 48
    web_endpoint = {
        "enabled": True,
        "deploymentName": "site-web-endpoint-server",
        "serviceName": "site-web-endpoint-server",
        "gatewayReady": False,
        "authSecretName": "site-web-endpoint-web-api-key",
        "url": f"http://site-web-endpoint-server.{namespace.name}.svc:8080",
    }
    until(lambda: namespace.status("instance", "site")["webEndpoint"] == web_endpoint, within=10)
    assert namespace.status("run", "site-web-endpoint")["phase"] == "Serving"
    assert site.chat().status_code == 200

    # What is deleted or edited comes back, and the key stays.
    server = f"{site.run}-server"
    namespace.delete("deployment", server)
    namespace.patch("service", server, {"spec": {"selector": {"sympozium.ai/run": "stolen"}}})
    namespace.delete("rolebinding", site.run)
    until(lambda: site.run in str(namespace.get("service", server)["spec"]["selector"]), within=10)
    until(lambda: namespace.kubectl("get", "rolebinding", site.run, "--ignore-not-found"), within=LATER)
    until(lambda: namespace.kubectl("get", "deployment", server, "--ignore-not-found"), within=LATER)
    namespace.kubectl("rollout", "status", f"deployment/{server}", "--timeout=3m")
    site.serves()
    assert site.key == key

    # Nothing is written once all is as it should be.
    until(lambda: not written_by_a_look(namespace), within=60, why=lambda: written_by_a_look(namespace))
    assert site.chat().status_code == 200

    # Switched off, all of it goes.
    namespace.patch("instance", "site", {"spec": {"webEndpoint": {"enabled": False}}})
    until(lambda: namespace.status("instance", "site")["phase"] == "Running", within=30)
    until(lambda: not children(namespace), within=120, why=lambda: f"{children(namespace)}: {pods(site)}")  # pods drain


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

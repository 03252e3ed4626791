"""The management API on a cluster, through its Service."""

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import Endpoint, Namespace, Object, agent_run, installed_with, instance, until
from tests.e2e.consoles import Console, console

__all__ = ["console"]

NAME = "managed"
CHILDREN = ("deployments", "services", "serviceaccounts", "roles", "rolebindings", "secrets")
SECRETS = 2
"""Secrets of a web endpoint: with its API key, and with the key of its sessions."""


@pytest.fixture
def managed(console: Console, namespace: Namespace) -> Iterator[Endpoint]:
    """An instance without a web endpoint, made by the console."""
    made = console.asks("PUT", f"instances/{NAME}", json={"spec": instance(NAME)["spec"]})
    assert made.status_code == 201, made.text
    endpoint = Endpoint(namespace, NAME)
    yield endpoint
    endpoint.close()
    namespace.delete("instance", NAME)
    until(lambda: not namespace.list("pods", "-l", f"sympozium.ai/run={endpoint.run}"), within=40)


def is_observed(body: Object) -> bool:
    generation: int = body["metadata"]["generation"]
    return all(
        found.get("observedGeneration") == generation for found in [body["status"], *body["status"]["conditions"]]
    )


def children(endpoint: Endpoint) -> list[str]:
    """Return kinds and names of the endpoint's objects."""
    selector = ("-l", f"sympozium.ai/run={endpoint.run}", "-o", "name")
    return sorted(endpoint.namespace.kubectl("get", ",".join(CHILDREN), *selector).split())


def deployment(endpoint: Endpoint) -> Object:
    """The Deployment's spec, but for the UIDs of ServiceAccount and session key, which are others each time."""
    spec: Object = endpoint.namespace.get("deployment", f"{endpoint.run}-server")["spec"]
    for name in ("service-account-uid", "session-key-uid"):
        del spec["template"]["metadata"]["annotations"][f"sympozium.ai/{name}"]
    return spec


SETTLED = dict.fromkeys(("Accepted", "ModelReachable", "ModelReady", "Ready", "WebEndpointReady"), "True")
"""Conditions of an instance whose web endpoint serves, but for ``Reconciling``."""


def conditions(console: Console, name: str) -> dict[str, str]:
    listed = console.get(f"instances/{name}/web-endpoint")["conditions"]
    return {condition["type"]: condition["status"] for condition in sorted(listed, key=lambda one: str(one["type"]))}


def settles(console: Console, name: str) -> None:
    """Wait until an instance serves, and its model has been tried."""
    settled = SETTLED | {"Reconciling": "False"}
    until(lambda: conditions(console, name) == settled, within=120, why=lambda: conditions(console, name))


def test_it_starts_runs_of_an_instance_without_a_web_endpoint(console: Console, managed: Endpoint) -> None:
    task = {"agentRef": NAME, "task": "say hello"}
    key = {"Idempotency-Key": secrets.token_hex(8), "Prefer": "wait=200"}
    ended = console.asks("POST", "runs", json=task, headers=key)
    assert ended.status_code == 200, ended.text
    assert ended.json()["status"]["phase"] == "Succeeded", ended.text
    again = console.asks("POST", "runs", json=task, headers=key)
    assert again.json()["metadata"]["uid"] == ended.json()["metadata"]["uid"]
    assert console.refuses(404, "POST", "runs", json=task | {"agentRef": "absent"})["reason"] == "NotFound"


def test_switched_on_it_serves_and_says_where(console: Console, managed: Endpoint) -> None:
    assert console.get(f"instances/{NAME}/web-endpoint")["enabled"] is False
    patched = console.asks("PATCH", f"instances/{NAME}", json={"webEndpoint": {"enabled": True}})
    assert patched.status_code == 200, patched.text
    assert console.get(f"instances/{NAME}/web-endpoint")["enabled"] is True
    settles(console, NAME)

    found = console.get(f"instances/{NAME}/web-endpoint")
    del found["conditions"]
    assert found == {
        "enabled": True,
        "deploymentName": f"{NAME}-web-endpoint-server",
        "serviceName": f"{NAME}-web-endpoint-server",
        "gatewayReady": False,
        "authSecretName": f"{NAME}-web-endpoint-web-api-key",
        "url": f"http://{NAME}-web-endpoint-server.{console.namespace}.svc:8080",
        "phase": "Serving",
    }
    assert managed.serves().chat().status_code == 200
    assert managed.key not in json.dumps([found, console.get("instances"), console.get(f"instances/{NAME}")])


def test_every_way_to_switch_on_has_the_same_effect(console: Console, namespace: Namespace) -> None:
    """Four instances at the same time, each switched on in its own way; their effects differ in nothing but the name."""
    skill, field = {"skills": [{"skillPackRef": "web-endpoint"}]}, {"webEndpoint": {"enabled": True}}

    def by_kubectl(name: str, spec: Object) -> None:
        namespace.patch("instance", name, {"spec": spec})

    def by_console(name: str, spec: Object) -> None:
        assert console.asks("PATCH", f"instances/{name}", json=spec).status_code == 200

    ways: list[tuple[str, Callable[[str, Object], None], Object]] = [
        ("way-1", by_kubectl, skill),
        ("way-2", by_kubectl, field),
        ("way-3", by_console, skill),
        ("way-4", by_console, field),
    ]

    def effect(name: str, switch: Callable[[str, Object], None], spec: Object) -> Any:
        endpoint = Endpoint(namespace, name)
        switch(name, spec)
        settles(console, name)
        shown = console.get(f"instances/{name}/web-endpoint")
        reasons = {condition["type"]: condition["reason"] for condition in shown.pop("conditions")}
        made = children(endpoint)
        assert len(made) == len(CHILDREN) - 1 + SECRETS
        found = json.dumps([shown, reasons, made, deployment(endpoint)])
        by_console(name, {"skills": [], "webEndpoint": None})
        until(lambda: not children(endpoint), within=60, why=lambda: children(endpoint))
        assert console.get(f"instances/{name}/web-endpoint")["enabled"] is False
        return json.loads(found.replace(name, "way"))

    namespace.apply(*(instance(name) for name, _, _ in ways))
    with ThreadPoolExecutor() as pool:
        effects = list(pool.map(lambda way: effect(*way), ways))
    for name, _, _ in ways:
        namespace.delete("instance", name, "--wait=false")
    assert effects[1:] == effects[:1] * 3


def test_the_api_servers_refusals_name_the_field(console: Console, managed: Endpoint) -> None:
    path = f"instances/{NAME}"
    unknown = console.refuses(400, "PATCH", path, json={"webEndpoint": {"enabld": True}})
    assert unknown["message"] == 'unknown field "spec.webEndpoint.enabld"'
    assert unknown["fields"] == [{"field": "spec.webEndpoint.enabld", "message": "unknown field"}]
    strange = console.refuses(400, "PUT", path, json={"spec": {**instance(NAME)["spec"], "nonsense": 1}})
    assert [field["field"] for field in strange["fields"]] == ["spec.nonsense"]
    low = console.refuses(422, "PATCH", path, json={"webEndpoint": {"replicas": 0}})
    assert (low["reason"], low["fields"][0]["field"]) == ("Invalid", "spec.webEndpoint.replicas")
    both = {"skills": [{"skillPackRef": "a", "configMapRef": "b"}]}
    assert "exactly one of skillPackRef" in console.refuses(422, "PATCH", path, json=both)["message"]
    named = console.refuses(422, "PUT", "instances/1st", json={"spec": instance("x")["spec"]})
    assert "begin with a letter" in named["message"]
    nowhere = console.refuses(404, "PUT", path, query={"namespace": "nowhere"}, json={"spec": instance("x")["spec"]})
    assert "nowhere" in nowhere["message"]
    assert "spec" not in managed.namespace.get("instance", NAME)["spec"]


def test_a_quota_that_is_full(console: Console, namespace: Namespace) -> None:
    hard = {"hard": {"count/sympoziuminstances.sympozium.ai": "0"}}
    namespace.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-more"}, "spec": hard})
    try:
        surplus, tried = {"spec": instance("surplus")["spec"]}, {"dryRun": "All"}
        until(lambda: console.asks("PUT", "instances/surplus", json=surplus, query=tried).status_code == 403, within=10)
        refused = console.refuses(403, "PUT", "instances/surplus", json=surplus)
        assert refused["reason"] == "Forbidden"
        assert "no-more" in refused["message"]
    finally:
        namespace.delete("resourcequota", "no-more")
    until(lambda: console.asks("PUT", "instances/surplus", json=surplus, query=tried).is_success, within=10)


def test_who_changes_an_older_version_is_refused(console: Console, managed: Endpoint) -> None:
    path = f"instances/{NAME}"
    until(lambda: managed.namespace.status("instance", NAME).get("phase") == "Running", within=10)

    def changed() -> httpx2.Response | None:
        """The version that was changed; None: the operator wrote a status meanwhile, which is another version."""
        read = console.asks("GET", path)
        answer = console.asks("PATCH", path, json={"maxQueuedRuns": 5}, headers={"If-Match": read.headers["etag"]})
        assert answer.status_code in (200, 412), answer.text
        return read if answer.status_code == 200 else None

    read = until(changed, within=10)
    assert console.refuses(409, "PUT", path, json=read.json())["reason"] == "Conflict"
    stale = {"resourceVersion": read.json()["metadata"]["resourceVersion"], "maxQueuedRuns": 6}
    assert console.refuses(409, "PATCH", path, json=stale)["reason"] == "Conflict"
    old = {"If-Match": read.headers["etag"]}
    assert console.refuses(412, "PATCH", path, json={"maxQueuedRuns": 6}, headers=old)["reason"] == "PreconditionFailed"
    assert console.refuses(412, "DELETE", path, headers=old)["reason"] == "PreconditionFailed"
    assert console.refuses(412, "PUT", path, json={"spec": {}}, headers={"If-None-Match": "*"})
    until(lambda: is_observed(managed.namespace.get("instance", NAME)), within=10)  # a status is another version

    def replaced() -> Object | None:
        """The same with a whole object."""
        current = console.asks("GET", path)
        body = current.json()
        body["spec"]["maxQueuedRuns"] = 7
        answer = console.asks("PUT", path, json=body, headers={"If-Match": current.headers["etag"]})
        assert answer.status_code in (200, 409, 412), answer.text
        found: Object | None = answer.json() if answer.status_code == 200 else None
        return found

    assert until(replaced, within=10)["spec"]["maxQueuedRuns"] == 7
    assert console.asks("DELETE", path, headers={"If-Match": "*"}).status_code == 204
    assert console.refuses(404, "GET", path)["reason"] == "NotFound"


def test_runs_are_listed_by_page_and_filter(console: Console, namespace: Namespace, chat: Endpoint) -> None:
    answered = chat.chat("hello")
    asked = [answered.headers["x-sympozium-run"]]
    namespace.run_ends(asked[0])
    by_hand = f"listed-{secrets.token_hex(3)}"
    time.sleep(1)  # Kubernetes counts whole seconds, and the newest run is the one of a later second
    namespace.apply(agent_run(by_hand, task="hello"))
    namespace.run_ends(by_hand)

    def listed(**query: str) -> list[str]:
        return [item["metadata"]["name"] for item in console.get("runs", **query)["items"]]

    assert set(asked) <= set(listed(source="web-proxy", phase="Succeeded", instance="chat"))
    assert by_hand in listed(instance="quiet", phase="Succeeded")
    assert by_hand not in listed(source="web-proxy")
    assert chat.run in listed(phase="Serving")

    whole, place = listed(limit="500"), ""
    paged: list[str] = []
    while place or not paged:
        page = console.get("runs", limit="2", **({"continue": place} if place else {}))
        paged += [item["metadata"]["name"] for item in page["items"]]
        place = page["metadata"].get("continue", "")
    assert paged == whole == sorted(whole)

    summary = next(item for item in console.get("runs")["items"] if item["metadata"]["name"] == by_hand)
    assert "task" not in summary["spec"]
    assert "result" not in summary["status"]
    are_indexed(console, asked[0], by_hand)
    one = console.get(f"runs/{by_hand}")
    assert (one["spec"]["task"], one["status"]["result"]) == ("hello", "Hello from the fake model.")
    assert console.asks("DELETE", f"runs/{by_hand}").status_code == 204
    assert console.refuses(404, "GET", f"runs/{by_hand}")
    assert console.refuses(400, "GET", "runs", query={"continue": "nonsense"})["message"]


def are_indexed(console: Console, asked: str, by_hand: str) -> None:
    """Both runs are among the newest, with numbers and usage, and without contents; servers are not."""

    def newest_runs() -> tuple[Object, Object]:
        newest = console.get("runs", order="newest", limit="500")
        return newest, {item["name"]: item for item in newest["items"]}

    until(
        lambda: {newest_runs()[1].get(name, {}).get("phase") for name in (asked, by_hand)} == {"Succeeded"}, within=10
    )
    newest, items = newest_runs()
    assert list(items).index(by_hand) < list(items).index(asked)
    assert items[asked]["source"] == "web-proxy"
    assert items[asked]["instanceUid"]
    assert items[asked]["outputTokens"]
    assert 0 < items[asked]["firstTokenMs"] <= items[asked]["durationMs"]
    assert newest["counts"]["runs"] >= len(items)
    assert not {item["phase"] for item in newest["items"]} & {"Serving"}
    assert console.get("runs", order="newest", instance="quiet", limit="1")["items"][0]["name"] == by_hand
    usage = {tuple(item["group"].values())[1]: item for item in console.get("usage", by="instance")["items"]}
    assert usage["chat"]["runs"] >= 1
    assert usage["chat"]["durationMs"]["p95"] > 0


def logged(console: Console) -> list[str]:
    """Lines of the log of the run ``endless``."""
    return console.asks("GET", "runs/endless/logs").text.splitlines()


def test_a_run_is_followed_and_cancelled(console: Console, namespace: Namespace) -> None:
    namespace.apply(agent_run("endless", task="hello", model={"model": "hang"}))
    phases = []
    for kind, data in console.follow("endless"):
        if kind != "status":
            continue
        phases.append(data.get("phase"))
        if phases[-1:] == ["Running"] and len(phases) == len(set(phases)):
            [begun, *_] = until(lambda: logged(console), within=10)
            assert json.loads(begun)["run"] == "endless"
            assert console.asks("POST", "runs/endless/cancel").status_code == 202
    assert phases[-2:] == ["Running", "Cancelled"]
    ended = console.refuses(409, "POST", "runs/endless/cancel")
    assert (ended["reason"], "Cancelled" in ended["message"]) == ("RunEnded", True)
    assert [data["phase"] for kind, data in console.follow("endless") if kind == "status"] == ["Cancelled"]
    until(lambda: not namespace.list("pods", "-l", "sympozium.ai/run=endless"), within=15)
    assert console.refuses(410, "GET", "runs/endless/logs")["reason"] == "PodGone"


def test_what_kubernetes_says_of_a_run_is_in_its_events(console: Console, namespace: Namespace) -> None:
    namespace.apply(agent_run("keyless-told", task="hello", model={"authSecretRef": "absent"}))
    namespace.run_ends("keyless-told", within=30)
    about = "involvedObject.name=keyless-told,reason=RunFailed"
    until(lambda: namespace.list("events", "--field-selector", about), within=10)
    *before, (last, status) = console.follow("keyless-told")
    assert (last, status["phase"]) == ("status", "Failed")
    [failure] = [event for kind, event in before if kind == "event" and event["reason"] == "RunFailed"]
    assert "absent" in failure["message"]


def test_the_server_of_an_instance_is_not_cancelled(console: Console, chat: Endpoint) -> None:
    assert console.refuses(409, "POST", f"runs/{chat.run}/cancel")["reason"] == "ServerRun"


def test_skills_are_the_built_in_ones_too(console: Console) -> None:
    [found] = [skill for skill in console.get("skills")["items"] if skill["builtIn"]]
    assert (found["name"], found["builtIn"], found["requiresServer"]) == ("web-endpoint", True, True)
    assert {"rate_limit_rpm": "60", "rate_limit_burst": "10"}.items() <= {
        parameter["name"]: parameter["default"] for parameter in found["parameters"]
    }.items()


def test_only_health_and_description_need_no_token(console: Console) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert httpx2.get(f"{console.url}{path}", timeout=30).status_code == 200
    for path in ("/api/v1/instances", "/api/v1/runs", "/api/v1/skills"):
        refused = httpx2.get(f"{console.url}{path}", headers={"Authorization": "Bearer guessed"}, timeout=30)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("verb", "kind", "allowed"),
    [
        ("update", "sympoziuminstances", True),
        ("watch", "agentruns", True),
        ("list", "skillpacks", True),
        ("list", "events", True),
        ("create", "agentruns", True),
        ("update", "agentruns", False),
        ("patch", "agentruns --subresource=status", True),
        ("get", "configmaps", True),
        ("list", "configmaps", False),
        ("list", "agentrunparts", False),
        ("patch", "sympoziuminstances --subresource=status", False),
        ("patch", "skillpacks", False),
        ("get", "secrets", False),
        ("get", "pods --subresource=log", True),
        ("list", "pods", False),
        ("create", "jobs", False),
        ("create", "controllerrevisions.apps", True),
        ("list", "controllerrevisions.apps", False),
        ("update", "controllerrevisions.apps", False),
        ("get", "providers", True),
        ("list", "providers", False),
    ],
)
def test_it_may_do_what_it_does_and_nothing_else(system: Namespace, verb: str, kind: str, allowed: bool) -> None:
    account = f"--as=system:serviceaccount:{system.name}:sympozium-console"
    words = ["kubectl", "auth", "can-i", verb, *kind.split(), "--all-namespaces", account]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == ("yes" if allowed else "no"), done.stderr


@pytest.mark.alone
def test_its_token_outlives_upgrades_and_may_be_ones_own(system: Namespace, namespace: Namespace) -> None:
    console = Console(system, namespace.name)
    before = console.use_token(system)
    own = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own-console"}, "stringData": {"token": "own"}}
    system.apply(own)
    try:
        with installed_with("console.resources.requests.cpu=51m"):
            assert console.use_token(system) == before
        with installed_with("console.tokenSecret=own-console"):
            console.http.headers["Authorization"] = "Bearer own"
            until(lambda: console.asks("GET", "skills").status_code == 200, within=30)
        assert console.use_token(system) == before
        until(lambda: console.asks("GET", "skills").status_code == 200, within=30)
    finally:
        system.delete("secret", "own-console")
        console.http.close()


def test_a_config_is_tried_and_a_caller_knows_itself(console: Console) -> None:
    tried = console.http.put("/api/v1/config", params={"dryRun": "All"}, json={"spec": {}})
    assert tried.is_success, tried.text
    wrong = console.http.put("/api/v1/config", params={"dryRun": "All"}, json={"spec": {"gateway": {"enabled": True}}})
    assert wrong.status_code == 422, wrong.text
    assert console.get("me")["kind"] == "installation"
    assert console.namespace in {item["name"] for item in console.http.get("/api/v1/namespaces").json()["items"]}
    assert console.http.get("/api/v1/version").json()["version"]

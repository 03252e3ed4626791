"""A namespace of the real cluster with a scripted model and an instance in it.

Run under ``$SYMPOZIUM_EXEC`` of ``.local/env`` (``make e2e`` does), where the addresses of pods and Services can be reached.
"""

import base64
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import openai
import pytest
from tests.e2e import direct_api
from tests.e2e.audit import AuditLog

Object = dict[str, Any]
T = TypeVar("T")

MODEL_SERVER = Path(__file__).parents[1] / "fakes/model.py"


class Refused(Exception):
    """A refusal of the API server; its text is kubectl's."""


@dataclass(frozen=True)
class Namespace:
    """kubectl, in one namespace, and without a process of it what needs none."""

    name: str

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["kubectl", "-n", self.name, *words], input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Refused(done.stderr.strip())
        return done.stdout

    def apply(self, *manifests: Object) -> None:
        with suppress(direct_api.NeedsKubectl):
            direct_api.apply(self.name, manifests)
            return
        self.kubectl(
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f-",
            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}),
        )

    def get(self, kind: str, name: str) -> Object:
        with suppress(direct_api.NeedsKubectl):
            return direct_api.get(self.name, kind, name)
        found: Object = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def list(self, kind: str, *selector: str) -> list[Object]:
        with suppress(direct_api.NeedsKubectl):
            return direct_api.items(self.name, kind, selector)
        items: list[Object] = json.loads(self.kubectl("get", kind, "-o", "json", *selector))["items"]
        return items

    def patch(self, kind: str, name: str, patch: Object) -> None:
        with suppress(direct_api.NeedsKubectl):
            direct_api.merge(self.name, kind, name, patch)
            return
        self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(patch))

    def delete(self, kind: str, name: str, *words: str) -> None:
        if words in ((), ("--wait=false",)):
            with suppress(direct_api.NeedsKubectl):
                direct_api.delete(self.name, kind, name, wait=not words)
                return
        self.kubectl("delete", kind, name, "--ignore-not-found", *words)

    def remove(self) -> None:
        """Start the namespace's deletion, its instances first.

        Kubernetes deletes pods before other objects and honours the grace period of web-proxies, so without that the
        instances' routes hold their host names for minutes.
        """
        self.kubectl("delete", "instances", "--all", "--wait=false")
        Namespace("default").delete("namespace", self.name, "--wait=false")

    def status(self, kind: str, name: str) -> Object:
        found: Object = self.get(kind, name).get("status", {})
        return found

    def kubeconfig(self, folder: Path) -> str:
        """Write a kubeconfig whose current namespace is this one, for the commands of a guide, and return its path."""
        config = json.loads(self.kubectl("config", "view", "--minify", "--raw", "-o", "json"))
        config["contexts"][0]["context"]["namespace"] = self.name
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return str(path)

    def run_ends(self, name: str, *, within: float = 60) -> Object:
        """The status of a run, once it is terminal."""
        return until(
            lambda: status if (status := self.status("run", name)).get("phase") in TERMINAL else None,
            within=within,
            why=lambda: f"run {name}: {self.status('run', name)}",
        )


def helm(*words: str, stdin: str | None = None) -> str:
    """Helm, in the operator's namespace unless the words name another one."""
    done = subprocess.run(
        ["helm", "--namespace", "sympozium-system", *words], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def installed_with(*values: str) -> Iterator[None]:
    """The chart with other values, as long as the test needs them."""
    before = json.loads(helm("history", "sympozium", "--output", "json"))[-1]["revision"]
    helm(
        "upgrade", "sympozium", "charts/sympozium", "--reuse-values", "--wait", *(f"--set={value}" for value in values)
    )
    try:
        until(nobody_old_leads, within=60)
        yield
    finally:
        helm("rollback", "sympozium", str(before), "--wait")
        until(nobody_old_leads, within=60)


def nobody_old_leads() -> bool:
    """Helm waits until the new pods are ready, not until the old ones have gone: one of them may still hold a Lease."""
    system = Namespace("sympozium-system")
    pods = system.list("pods", "-l", "app.kubernetes.io/component=operator")
    going = any("deletionTimestamp" in pod["metadata"] for pod in pods)
    leases = (lease for lease in system.list("leases") if lease["metadata"]["name"].startswith("sympozium-operator"))
    identities = (lease["spec"].get("holderIdentity") or "" for lease in leases)
    holders = {identity.partition("/")[0] for identity in identities}  # with shards an identity is pod/number
    return not going and not holders.isdisjoint(pod["metadata"]["name"] for pod in pods)


NOW = ("--grace-period=1", "--wait=false")
"""Killed after a second. (With 0 the kubelet may never see the wish, and gives the pod all of its own grace period.)"""


TERMINAL = ("Succeeded", "Failed", "Cancelled")


PATIENCE = 3
"""How many times as long as on a quick machine everything may take: a slow and busy one is no fault."""
LEAST = 60
"""Seconds that anything may take where many tests wait for one processor. A bound below ten seconds is a promise, without this."""


LONGEST = httpx2.Timeout(240, connect=10)
"""Seconds in which a caller gets an answer on the slowest machine. A pod that has gone may accept no connection, nor refuse one."""


def until(
    look: Callable[[], T | None],
    *,
    within: float,
    every: float = 0.1,
    why: Callable[[], object] = lambda: "it did not happen",
) -> T:
    """Return what ``look`` finds, as soon as it finds anything; ``within`` are seconds on a quick machine, ``every`` between two looks.

    A connection that is refused, broken or slow is nothing found: the node's proxy learns of a Service's new pods within a second.
    """
    patience = max(PATIENCE * within, LEAST if within >= 10 else 0)
    deadline = time.monotonic() + patience
    while True:
        refusal = None
        try:
            if found := look():
                return found
        except (httpx2.TransportError, openai.APIConnectionError) as error:
            refusal = error
        assert time.monotonic() < deadline, f"not within {patience} s: {refusal or why()}"
        time.sleep(every)


def is_established(cluster: Namespace, crd: str) -> bool:
    """Return true if the API server serves a kind. (``kubectl wait`` fails on one that has no conditions yet.)"""
    conditions = cluster.status("crd", crd).get("conditions") or []
    return any(found["type"] == "Established" and found["status"] == "True" for found in conditions)


def responds(url: str) -> bool:
    """Return true if it does. The node's proxy learns of a new Service within a second."""
    with suppress(httpx2.TransportError):
        return httpx2.get(url, timeout=30).status_code == 200
    return False


def authority(address: str, port: int) -> str:
    """Return what a URL names: an IPv6 address has brackets there."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(frozen=True)
class Endpoint:
    """An instance with a web endpoint that answers."""

    namespace: Namespace
    instance: str

    @property
    def run(self) -> str:
        return f"{self.instance}-web-endpoint"

    @property
    def url(self) -> str:
        """By the Service's address, which another Service of this name has not: outside of pods nobody resolves the name."""
        service = self.namespace.get("service", f"{self.run}-server")
        return f"http://{authority(service['spec']['clusterIP'], 8080)}"

    @property
    def metrics_url(self) -> str:
        """The port of metrics, at the same address."""
        return self.url.removesuffix(":8080") + ":9090"

    def metrics(self) -> str:
        """All metrics of one of its replicas."""
        return httpx2.get(f"{self.metrics_url}/metrics", timeout=LONGEST).text

    @property
    def key(self) -> str:
        secret = self.namespace.get("secret", f"{self.run}-web-api-key")
        return base64.b64decode(secret["data"]["api-key"]).decode()

    @cached_property
    def http(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=LONGEST)

    @cached_property
    def sdk(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0, timeout=LONGEST)

    def chat(self, text: str = "hello", **fields: Any) -> httpx2.Response:
        body = {"messages": [{"role": "user", "content": text}]} | fields
        return self.http.post("/v1/chat/completions", json=body)

    def use_model(self, script: str) -> None:
        """Point the instance at another script of the model server; it holds without a restart, in each of the web-proxies."""
        self.namespace.patch("instance", self.instance, {"spec": {"agents": {"default": {"model": script}}}})
        until(lambda: all(script in self.http.get(f"{url}/v1/models").text for url in self.replicas()), within=10)

    def replicas(self) -> list[str]:
        """Addresses of the web-proxy's pods; the Service's while there is none."""
        pods = [pod for pod in self.pods() if pod["status"].get("podIP")]
        return [f"http://{authority(pod['status']['podIP'], 8080)}" for pod in pods] or [self.url]

    def pods(self) -> list[Object]:
        """The web-proxy's pods, those that are to go left out."""
        found = self.namespace.list("pods", "-l", f"sympozium.ai/run={self.run}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def close(self) -> None:
        for client in (self.__dict__.get("http"), self.__dict__.get("sdk")):
            if client:
                client.close()

    def answers(self) -> bool:
        with suppress(Refused):  # its Service is being made again
            return responds(f"{self.url}/readyz")
        return False

    def serves(self) -> "Endpoint":
        """Wait for it; then for the node's proxy, which learns of a new Service within a second."""
        until(
            lambda: self.namespace.status("instance", self.instance).get("phase") == "Serving",
            within=120,
            why=lambda: self.namespace.status("instance", self.instance),
        )
        until(self.answers, within=10)
        return self


def instance(name: str, *, base_url: str = "http://model:8080/v1", model: str = "instant", **spec: Any) -> Object:
    agent = {"model": model, "baseURL": base_url, **spec.pop("agent", {})}
    return {
        "apiVersion": "sympozium.ai/v1alpha1",
        "kind": "SympoziumInstance",
        "metadata": {"name": name},
        "spec": {"agents": {"default": agent}} | spec,
    }


def agent_run(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "sympozium.ai/v1alpha1",
        "kind": "AgentRun",
        "metadata": {"name": name},
        "spec": {"agentRef": "quiet"} | spec,
    }


def model_server(image: str) -> list[Object]:
    """The scripted model of tests/fakes/model.py."""
    return scripted_server("model", MODEL_SERVER, image)


def scripted_server(name: str, script: Path, image: str) -> list[Object]:
    """A server made of one file, on port 8080."""
    container = {
        "image": image,
        "command": ["python", "-u", f"/script/{script.name}", "--host", "", "--port", "8080"],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
        "volumeMounts": [{"name": "script", "mountPath": "/script"}],
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}},
    }
    content = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {script.name: script.read_text()},
    }
    return [content, *server(name, 8080, container, {"name": "script", "configMap": {"name": name}})]


def stored_server(name: str, port: int, container: Object) -> list[Object]:
    """A server whose data, in ``/data``, outlives its container, not its pod."""
    mounted = container | {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    return server(name, port, mounted, {"name": "data", "emptyDir": {}}, fsGroup=65532)


def server(name: str, port: int, container: Object, volume: Object, **security: int) -> list[Object]:
    """A Deployment of one pod that Pod Security ``restricted`` lets in, and its Service."""
    labels = {"app": name}
    bounds = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    account = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {
        "containers": [{"name": name, "securityContext": bounds} | container],
        "volumes": [volume],
        "securityContext": account | security,
        "terminationGracePeriodSeconds": 0,
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": port}]},
        },
    ]


LONG = tuple(f"test_{name}" for name in ("archive", "clients", "guide", "keys", "kubectl_plugin", "repair", "scale"))
"""Files that take minutes, most of it waits. They begin first where files run side by side, so that none is left for the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests: those of long files first, those that read the audit log after all whose deeds it should show, then those that
    take the installation apart, with its rights. Leave out the tests of the other phases, and where no log is kept those that read it.
    """

    def has(marker: str, item: pytest.Item) -> bool:
        return item.get_closest_marker(marker) is not None

    def is_selected(item: pytest.Item) -> bool:
        if has("audit", item) and not os.environ.get("SYMPOZIUM_AUDIT_LOG"):
            return False
        return config.getoption("phase") in (None, phase(item))

    def phase(item: pytest.Item) -> str:
        if any(has(marker, item) for marker in ("measures", "audit", "dismantles")):
            return "last"
        if has("browser", item):
            return "browser"
        return "alone" if has("alone", item) else "together"

    items.sort(key=lambda item: (has("dismantles", item), has("audit", item), item.path.stem not in LONG))
    config.hook.pytest_deselected(items=[item for item in items if not is_selected(item)])
    items[:] = [item for item in items if is_selected(item)]


@pytest.fixture(scope="session", autouse=True)
def audit() -> AuditLog | None:
    """The audit log, from the first test of this session on, whichever worker or phase ran it."""
    return AuditLog.of_this_session()


@pytest.fixture(scope="session")
def system() -> Namespace:
    """The operator's namespace."""
    return Namespace("sympozium-system")


@pytest.fixture(scope="session")
def webproxy_image(system: Namespace) -> str:
    image: str = system.get("deployment", "sympozium-runs")["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


@pytest.fixture(scope="session")
def namespace(webproxy_image: str) -> Iterator[Namespace]:
    """A namespace that enforces Pod Security ``restricted``, with the scripted model in it."""
    name = f"e2e-{secrets.token_hex(3)}"
    found = Namespace(name)
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforce}})
    found.apply(*model_server(webproxy_image), instance("quiet"))
    found.kubectl("rollout", "status", "deployment/model", "--timeout=4m")
    until(
        lambda: responds(f"http://{authority(found.get('service', 'model')['spec']['clusterIP'], 8080)}/healthz"),
        within=10,
    )
    yield found
    found.remove()


@pytest.fixture(scope="session")
def _chat(namespace: Namespace) -> Iterator[Endpoint]:
    limit = {"requestsPerMinute": 60_000, "burstSize": 1000}
    prompt = {"systemPrompt": "You are a test."}
    namespace.apply(
        instance("chat", skills=[{"skillPackRef": "web-endpoint"}], webEndpoint={"rateLimit": limit}, memory=prompt)
    )
    endpoint = Endpoint(namespace, "chat").serves()
    yield endpoint
    endpoint.close()


@pytest.fixture
def chat(_chat: Endpoint) -> Iterator[Endpoint]:
    """An instance whose web endpoint serves, with the instant model."""
    yield _chat
    _chat.serves().use_model("instant")

"""Web endpoints as they are reached from outside: through a Gateway that the operator made and Envoy serves."""

import base64
import secrets
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from cryptography import x509
from tests.e2e.conftest import LONGEST, Endpoint, Namespace, Object, installed_with, instance, until
from tests.fakes.certificate import self_signed

pytestmark = pytest.mark.alone

DOMAIN = f"{secrets.token_hex(3)}.example.test"
SOON = 10
"""Seconds within which a change takes effect."""
PROGRAMMED = 90
"""Seconds until a new Gateway has a new Envoy: its pod alone takes more than ten."""


@dataclass(frozen=True)
class Outside:
    """The gateway, seen from outside, and the SympoziumConfig that it comes from."""

    system: Namespace

    def configure(self, **gateway: Any) -> None:
        """Ask for a gateway, and wait until the status is about it."""
        spec = {"gateway": {"enabled": True, "gatewayClassName": "envoy", "baseDomain": DOMAIN} | gateway}
        head = {"apiVersion": "sympozium.ai/v1alpha1", "kind": "SympoziumConfig", "metadata": {"name": "default"}}
        self.system.apply(head | {"spec": spec})
        until(self._is_seen, within=SOON, why=lambda: self.status)

    def ready(self) -> "Outside":
        until(lambda: self.status.get("gateway", {}).get("ready"), within=PROGRAMMED, why=lambda: self.status)
        return self

    @property
    def status(self) -> Object:
        return self.system.status("sympoziumconfig", "default")

    def _is_seen(self) -> bool:
        config = self.system.get("sympoziumconfig", "default")
        conditions = config.get("status", {}).get("conditions", [])
        return any(c["observedGeneration"] == config["metadata"]["generation"] for c in conditions)

    def address(self) -> str:
        """Envoy's Service: what a load balancer would lead to."""
        selector = "gateway.envoyproxy.io/owning-gateway-name=sympozium"
        found = until(lambda: Namespace("envoy-gateway-system").list("service", "-l", selector), within=SOON)
        address: str = found[0]["spec"]["clusterIP"]
        return address

    def client(self, hostname: str, key: str = "", tls: ssl.SSLContext | None = None) -> httpx2.Client:
        """A client that found the gateway's address under this host name."""
        headers = {"Host": hostname} | ({"Authorization": f"Bearer {key}"} if key else {})
        scheme, verify = ("https", tls) if tls else ("http", True)
        return httpx2.Client(base_url=f"{scheme}://{self.address()}", headers=headers, verify=verify, timeout=LONGEST)

    def answers(self, hostname: str, tls: ssl.SSLContext | None = None) -> int | None:
        """The status that a host name leads to; None while Envoy does not listen yet."""
        with self.client(hostname, tls=tls) as http, suppress(httpx2.TransportError):
            return http.get("/healthz", extensions={"sni_hostname": hostname} if tls else {}).status_code
        return None


@pytest.fixture(scope="module")
def _outside(system: Namespace) -> Iterator[Outside]:
    found = Outside(system)
    found.configure()
    yield found.ready()
    system.delete("sympoziumconfig", "default")
    until(lambda: not system.list("gateway"), within=30)


@pytest.fixture
def outside(_outside: Outside) -> Outside:
    """A gateway that serves plain HTTP for everybody, whatever the test before made of it."""
    _outside.configure()
    return _outside.ready()


def web(namespace: Namespace, name: str) -> Object:
    found: Object = namespace.status("instance", name).get("webEndpoint", {})
    return found


def routed(namespace: Namespace, name: str, url: str) -> None:
    until(
        lambda: web(namespace, name).get("gatewayReady") and web(namespace, name)["url"] == url,
        within=SOON,
        why=lambda: namespace.status("instance", name),
    )


def condition(namespace: Namespace, name: str) -> Object:
    conditions: list[Object] = namespace.status("instance", name).get("conditions", [])
    return next((found for found in conditions if found["type"] == "RouteReady"), {})


@pytest.fixture
def public(outside: Outside, chat: Endpoint) -> Endpoint:
    """The instance ``chat``, routed."""
    routed(chat.namespace, "chat", f"http://chat.{DOMAIN}")
    until(lambda: outside.answers(f"chat.{DOMAIN}") == 200, within=SOON)
    return chat


MESSAGES = [{"role": "user", "content": "hello"}]


def sent_and_arrived(response: httpx2.Response) -> list[tuple[float, float]]:
    """When the model sent each token, and when it came, in seconds."""
    found = []
    for line in response.iter_lines():
        content = line.partition('"content":"')[2].partition('"')[0]
        if content:
            found.append((float(content) / 1000, time.time()))
    return found


def test_a_config_becomes_a_gateway_with_an_address(outside: Outside) -> None:
    status = outside.status
    assert status["phase"] == "Ready"
    assert status["gateway"]["address"]
    assert status["gateway"]["listenerCount"] == 1
    assert {c["type"]: c["reason"] for c in status["conditions"]} == {
        "Accepted": "Accepted",
        "GatewayReady": "Programmed",
    }


def test_the_console_has_a_host_name_where_the_chart_gives_it_one(outside: Outside) -> None:
    host = f"console.{DOMAIN}"
    with installed_with(f"console.management.hostname={host}"):
        until(lambda: outside.answers(host) == 200, within=PROGRAMMED, why=lambda: outside.status)
        with outside.client(host) as http:
            assert http.get("/api/v1/instances").status_code == 401
            assert http.get("/metrics").status_code >= 400
        reasons = {c["type"]: c["reason"] for c in outside.status["conditions"]}
        assert reasons["RoutesReady"] == "Routed"
    until(lambda: outside.answers(host) != 200, within=PROGRAMMED)


def test_a_stream_passes_the_gateway_token_by_token(outside: Outside, public: Endpoint) -> None:
    public.use_model("slow:8:3000")  # longer than the 15 s after which Envoy gives up by itself
    with (
        outside.client(f"chat.{DOMAIN}", public.key) as http,
        http.stream("POST", "/v1/chat/completions", json={"messages": MESSAGES, "stream": True}) as response,
    ):
        assert response.status_code == 200
        tokens = sent_and_arrived(response)
    assert len(tokens) == 8
    assert max(arrived - sent for sent, arrived in tokens) < 2.7  # below the pace of the model: nothing was held back


def test_metrics_stay_inside(outside: Outside, public: Endpoint) -> None:
    assert "sympozium_runs_open" in public.metrics()
    assert public.http.get("/metrics").status_code == 404
    with outside.client(f"chat.{DOMAIN}", public.key) as http:
        assert http.get("/health").status_code == 200
        assert http.get("/metrics").status_code in (404, 500)  # Gateway API leaves it open which


def test_an_answer_that_takes_forty_seconds_passes(outside: Outside, public: Endpoint) -> None:
    public.use_model("slow:2:40000")
    with outside.client(f"chat.{DOMAIN}", public.key) as http:
        began = time.monotonic()
        answer = http.post("/v1/chat/completions", json={"messages": MESSAGES})
    assert answer.status_code == 200
    assert len(answer.json()["choices"][0]["message"]["content"].split()) == 2
    assert time.monotonic() - began >= 40


def test_with_tls_the_certificate_is_the_gateways_and_nothing_is_served_in_the_clear(
    outside: Outside, public: Endpoint, system: Namespace
) -> None:
    key, certificate = self_signed(x509.DNSName(f"*.{DOMAIN}"))
    data = {"tls.key": base64.b64encode(key).decode(), "tls.crt": base64.b64encode(certificate).decode()}
    tls = {"enabled": True, "secretName": "wildcard"}
    outside.configure(tls=tls)
    until(lambda: "wildcard" in str(outside.status["conditions"]), within=SOON)  # the Secret is missed by its name
    system.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "wildcard"},
            "type": "kubernetes.io/tls",
            "data": data,
        }
    )
    try:
        outside.ready()
        routed(public.namespace, "chat", f"https://chat.{DOMAIN}")
        trusted, sni = ssl.create_default_context(cadata=certificate.decode()), {"sni_hostname": f"chat.{DOMAIN}"}
        until(lambda: outside.answers(f"chat.{DOMAIN}", trusted) == 200, within=SOON)
        with outside.client(f"chat.{DOMAIN}", public.key, tls=trusted) as http:
            assert http.get("/v1/models", extensions=sni).json()["data"]
        with (
            outside.client(f"chat.{DOMAIN}", tls=ssl.create_default_context()) as stranger,
            pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            stranger.get("/healthz", extensions=sni)
        until(lambda: outside.answers(f"chat.{DOMAIN}") == 404, within=SOON)
    finally:
        system.delete("secret", "wildcard")


def test_a_name_that_the_certificate_does_not_cover_is_told(outside: Outside, public: Endpoint) -> None:
    outside.configure(tls={"enabled": True, "secretName": "nowhere"})
    public.namespace.patch("instance", "chat", {"spec": {"webEndpoint": {"hostname": "chat.elsewhere.test"}}})
    try:
        until(lambda: condition(public.namespace, "chat").get("reason") == "HostnameNotCovered", within=SOON)
        assert "spec.webEndpoint.hostname" in condition(public.namespace, "chat")["message"]
    finally:
        public.namespace.patch("instance", "chat", {"spec": {"webEndpoint": {"hostname": None}}})


@pytest.fixture
def neighbour() -> Iterator[Namespace]:
    found = Namespace(f"e2e-{secrets.token_hex(3)}")
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.name}})
    yield found
    found.remove()


def taken(namespace: Namespace) -> list[str]:
    """The instances of which Events say that their host name is another one's."""
    return [e["involvedObject"]["name"] for e in namespace.list("events") if e["reason"] == "HostnameTaken"]


def test_a_host_name_is_whose_who_had_it_first_until_it_is_free(
    outside: Outside, namespace: Namespace, neighbour: Namespace
) -> None:
    on: Object = {"enabled": True}
    namespace.apply(instance("desk", webEndpoint=on))
    until(lambda: web(namespace, "desk").get("url") == f"http://desk.{DOMAIN}", within=30)
    neighbour.apply(instance("desk", webEndpoint=on))
    namespace.apply(instance("twin", webEndpoint=on | {"hostname": f"desk.{DOMAIN}"}))

    for place, name in ((neighbour, "desk"), (namespace, "twin")):
        until(lambda place=place, name=name: condition(place, name).get("reason") == "HostnameTaken", within=30)  # type: ignore[misc]
        assert f"desk.{DOMAIN}" in condition(place, name)["message"]
        assert not web(place, name)["gatewayReady"]
        assert not place.kubectl("get", "httproute", f"{name}-web-endpoint-server", "--ignore-not-found")
        until(lambda place=place, name=name: taken(place) == [name], within=SOON, why=lambda place=place: taken(place))  # type: ignore[misc]
    until(lambda: condition(namespace, "desk").get("status") == "True", within=SOON)

    namespace.delete("instance", "twin")
    namespace.delete("instance", "desk")
    until(lambda: web(neighbour, "desk")["gatewayReady"], within=20)


def test_a_route_follows_its_host_name(outside: Outside, public: Endpoint) -> None:
    moved = f"moved.{DOMAIN}"
    outside.configure(baseDomain=moved)
    routed(public.namespace, "chat", f"http://chat.{moved}")
    until(lambda: (outside.answers(f"chat.{moved}"), outside.answers(f"chat.{DOMAIN}")) == (200, 404), within=SOON)

    public.namespace.patch("instance", "chat", {"spec": {"webEndpoint": {"hostname": "my-own.test"}}})
    try:
        routed(public.namespace, "chat", "http://my-own.test")
        until(lambda: (outside.answers("my-own.test"), outside.answers(f"chat.{moved}")) == (200, 404), within=SOON)
        public.namespace.patch("instance", "chat", {"spec": {"webEndpoint": {"hostname": "not_a_name"}}})
        until(lambda: public.namespace.status("instance", "chat")["phase"] == "Error", within=SOON)
        assert "spec.webEndpoint.hostname" in str(public.namespace.status("instance", "chat")["conditions"])
        assert outside.answers("my-own.test") == 200  # what was before goes on
    finally:
        public.namespace.patch("instance", "chat", {"spec": {"webEndpoint": {"hostname": None}}})


def test_namespaces_can_be_chosen(outside: Outside, public: Endpoint) -> None:
    outside.configure(allowedRoutes={"from": "Selector", "selector": {"matchLabels": {"sympozium": "outside"}}})
    until(lambda: condition(public.namespace, "chat").get("reason") == "NotAllowedByListeners", within=SOON)
    public.namespace.kubectl("label", "namespace", public.namespace.name, "sympozium=outside")
    routed(public.namespace, "chat", f"http://chat.{DOMAIN}")


def test_route_and_gateway_come_back(outside: Outside, public: Endpoint, system: Namespace) -> None:
    namespace, name = public.namespace, f"{public.run}-server"
    before = namespace.get("httproute", name)
    namespace.delete("httproute", name)
    until(lambda: namespace.kubectl("get", "httproute", name, "--ignore-not-found"), within=SOON)

    foreign = {"name": "another-service", "port": 80}
    namespace.patch("httproute", name, {"spec": {"hostnames": ["x.test"], "rules": [{"backendRefs": [foreign]}]}})
    namespace.patch("httproute", name, {"metadata": {"labels": None, "ownerReferences": None}})
    until(lambda: namespace.get("httproute", name)["spec"] == before["spec"], within=SOON)
    until(
        lambda: namespace.get("httproute", name)["metadata"].get("labels") == before["metadata"]["labels"], within=SOON
    )
    assert namespace.get("httproute", name)["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]

    system.patch("gateway", "sympozium", {"spec": {"gatewayClassName": "another"}})
    until(lambda: system.get("gateway", "sympozium")["spec"]["gatewayClassName"] == "envoy", within=SOON)
    system.delete("gateway", "sympozium")
    until(lambda: system.kubectl("get", "gateway", "sympozium", "--ignore-not-found"), within=SOON)
    outside.ready()


def test_without_a_gateway_the_service_is_all_there_is(outside: Outside, public: Endpoint, system: Namespace) -> None:
    namespace, service = public.namespace, f"{public.run}-server"
    outside.configure(enabled=False)
    until(lambda: not namespace.list("httproute"), within=SOON)
    until(lambda: not system.list("gateway"), within=SOON)
    until(lambda: not web(namespace, "chat")["gatewayReady"], within=SOON)
    assert web(namespace, "chat")["url"] == f"http://{service}.{namespace.name}.svc:8080"
    assert condition(namespace, "chat") == {}
    assert namespace.status("instance", "chat")["phase"] == "Serving"
    assert outside.status["phase"] == "Ready"
    assert public.chat().status_code == 200


def test_the_gateway_api_may_be_missing_and_come_later(outside: Outside, public: Endpoint, system: Namespace) -> None:
    names = [f"{kind}.gateway.networking.k8s.io" for kind in ("gateways", "httproutes")]
    definitions = [as_written(system.get("crd", name)) for name in names]
    for name in names:
        system.delete("crd", name)
    try:
        until(lambda: "GatewayAPINotInstalled" in str(outside.status["conditions"]), within=30)
        system.kubectl("rollout", "restart", "deployment/sympozium-operator")
        system.kubectl("rollout", "status", "deployment/sympozium-operator", "--timeout=4m")
        until(lambda: condition(public.namespace, "chat").get("reason") == "GatewayNotReady", within=30)
        public.namespace.apply(instance("plain", webEndpoint={"enabled": True}))
        with closing(Endpoint(public.namespace, "plain")) as plain:
            assert plain.serves().chat().status_code == 200
    finally:
        system.apply(*definitions)
    until(lambda: "GatewayAPINotInstalled" not in str(outside.status["conditions"]), within=SOON)
    outside.ready()
    for name in ("chat", "plain"):
        routed(public.namespace, name, f"http://{name}.{DOMAIN}")
    public.namespace.delete("instance", "plain")


def as_written(definition: Object) -> Object:
    """A CRD as its file has it."""
    metadata = definition["metadata"]
    kept = {key: metadata[key] for key in ("name", "annotations", "labels") if key in metadata}
    return {key: definition[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": kept}


def test_a_config_that_is_not_the_one_says_so(outside: Outside, namespace: Namespace) -> None:
    head = {"apiVersion": "sympozium.ai/v1alpha1", "kind": "SympoziumConfig", "metadata": {"name": "mine"}}
    namespace.apply(head | {"spec": {}})
    status = until(lambda: namespace.status("sympoziumconfig", "mine"), within=SOON)
    assert [c["reason"] for c in status["conditions"]] == ["NoEffect"]
    namespace.delete("sympoziumconfig", "mine")

"""NetworkPolicies of an instance's agents and of its web-proxy. Pure: the Services are handed in as they were read."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from sympozium_api import effective, environment, names
from sympozium_api.base import owner_reference
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.resources import NETWORK_POLICIES, Object
from sympozium_api.run import AgentRun
from sympozium_operator.desired import pod_parts, rbac, web_proxy
from sympozium_operator.desired.egress_access import EGRESS_COMPONENT

_RUNS_COMPONENTS = ("runs", "console")
"""Component labels of Deployments sympozium-console and sympozium-runs, which the chart sets: pods of both serve the agent API."""

_NAMESPACE = "kubernetes.io/metadata.name"
_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_ANYWHERE: list[Object] = [
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::254/128"]}},
]
"""All addresses except the node's own, because the cloud's metadata service, which gives out credentials, is there."""
_DNS: list[Object] = [
    {
        "namespaceSelector": {"matchLabels": {_NAMESPACE: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    },
    {"ipBlock": {"cidr": "169.254.20.10/32"}},
]
"""DNS of the cluster, and the cache of it that some clusters have on each node."""


@dataclass(frozen=True)
class Egress:
    """Addresses that an installation lets agents reach besides their model and their web-proxy."""

    runs_namespace: str
    """Namespace of Deployments sympozium-runs and sympozium-console: the operator's own."""
    extra: tuple[Object, ...] = ()
    """NetworkPolicyEgressRules, as the user wrote them."""
    has_guard: bool = False
    """True if the egress guard is in that namespace too."""
    is_guarded: bool = False
    """True if agents reach nothing outside the cluster but through that guard, and no proxy."""


@dataclass(frozen=True)
class Address:
    """Host and TCP port to which an agent connects."""

    host: str
    port: int

    def service(self, namespace: str) -> tuple[str, str] | None:
        """Return namespace and name of the Service that this may be, seen from a namespace; None if it cannot be a Service."""
        if _block(self.host) or not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", self.host):
            return None
        labels = self.host.split(".")
        if "svc" in labels[2:4]:
            end = labels.index("svc", 2)
            return labels[end - 1], labels[end - 2]
        return {1: (namespace, labels[0]), 2: (labels[-1], labels[0])}.get(len(labels))


Services = Mapping[Address, Object | None]
"""Services behind addresses. None: the operator may not read the Service. An address that is missing has no Service."""


def addresses(instance: SympoziumInstance, models: Sequence[ResolvedModel] = ()) -> list[Address]:
    """Return the addresses to which the instance's agents connect: the models, and the proxies that the agent's environment names.

    ``models``: those that the operator resolved. Without them the instance's own address has its model, unless it names a Provider.
    """
    env = instance.spec.agents.default.env
    proxies = [
        value if "://" in value else f"http://{value}"
        for name, value in env.items()
        if name.lower() in environment.PROXY_VARIABLES
    ]
    servers = [model.base_url for model in models]
    if not models and instance.spec.agents.default.provider_ref is None:
        servers = [effective.model(instance).base_url]
    candidates = map(_address, [*servers, *proxies])
    return list(dict.fromkeys(address for address in candidates if address))


def agent_policies(
    instance: SympoziumInstance, egress: Egress, services: Services, models: Sequence[ResolvedModel] = ()
) -> list[Object]:
    """Return the policies of an instance's agents: nothing reaches them, and they reach what they need."""
    namespace, name = instance.key
    labels = {"app.kubernetes.io/component": rbac.AGENT_COMPONENT, names.LABEL_INSTANCE: name}
    to_model = [rule for address in addresses(instance, models) for rule in _rules(address, namespace, services)]
    if egress.is_guarded:
        to_model = list(_within_cluster(to_model))
    to_guard = [_to_guard(egress)] if egress.has_guard else []
    rules = [*_to_ours(name, egress), *to_guard, *to_model, *map(_as_stored, egress.extra)]
    own = labels | {names.LABEL_MODEL: names.OWN_MODEL}
    anywhere = [{"to": [{"namespaceSelector": {}}, *([] if egress.is_guarded else _ANYWHERE)]}]
    policies = zip(names.agent_policies(name), (labels, own), (rules, anywhere), strict=True)
    return [_agent_policy(instance, *policy) for policy in policies]


def server_policy(run: AgentRun, deployment: Object) -> Object:
    """Return the policy of a web-proxy: clients from anywhere, but on the agent API's port only agents of its instance.

    Egress is left open, because the API server is not a pod and no selector matches it.
    """
    agents = {"app.kubernetes.io/component": rbac.AGENT_COMPONENT, names.LABEL_INSTANCE: run.spec.agent_ref}
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    others = [port["containerPort"] for port in container["ports"] if port["containerPort"] != names.RUNS_PORT]
    head = rbac.server_head(run, NETWORK_POLICIES, names.server(run.metadata.name))
    return head | {
        "spec": {
            "podSelector": {"matchLabels": web_proxy.selector(run)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"ports": [_port(number) for number in others]},
                {"from": [{"podSelector": {"matchLabels": agents}}], "ports": [_port(names.RUNS_PORT)]},
            ],
        }
    }


def _agent_policy(instance: SympoziumInstance, name: str, selector: dict[str, str], egress: list[Object]) -> Object:
    labels = names.labels(rbac.AGENT_COMPONENT, instance=instance.metadata.name)
    owner = owner_reference(instance)
    head = pod_parts.head(NETWORK_POLICIES, name, instance.metadata.namespace, labels=labels, owner=owner)
    return head | {
        "spec": {
            "podSelector": {"matchLabels": selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": list({str(rule): rule for rule in egress}.values()),
        }
    }


def _to_ours(instance: str, egress: Egress) -> Iterator[Object]:
    """Yield the rules to DNS, and to the agent API of the instance's web-proxy, of the runs server and of the console."""
    proxy = {"app.kubernetes.io/component": rbac.SERVER_COMPONENT, names.LABEL_INSTANCE: instance}
    yield {"to": _DNS, "ports": [_port(53, "UDP"), _port(53)]}
    yield {
        "to": [
            {"podSelector": {"matchLabels": proxy}},
            *(_component(name, egress) for name in _RUNS_COMPONENTS),
        ],
        "ports": [_port(names.RUNS_PORT)],
    }


def _to_guard(egress: Egress) -> Object:
    """Return the rule to the egress guard."""
    return {"to": [_component(EGRESS_COMPONENT, egress)], "ports": [_port(names.EGRESS_PORT)]}


def _component(name: str, egress: Egress) -> Object:
    """Return the pods of a Deployment of the chart, as a peer of a rule."""
    labels = {"app.kubernetes.io/name": "sympozium", "app.kubernetes.io/component": name}
    return {
        "namespaceSelector": {"matchLabels": {_NAMESPACE: egress.runs_namespace}},
        "podSelector": {"matchLabels": labels},
    }


def _rules(address: Address, namespace: str, services: Services) -> list[Object]:
    """Return the rules to an address. Policies see a connection to a Service after its translation, so the pod's port counts."""
    if block := _block(address.host):
        return [{"to": [{"ipBlock": {"cidr": block}}], "ports": [_port(address.port)]}]
    place = address.service(namespace)
    if place is None or address not in services:
        return [_anywhere(address.port)]
    service = services[address]
    pods = {"namespaceSelector": {"matchLabels": {_NAMESPACE: place[0]}}}
    if service is None:
        return [_anywhere(address.port), {"to": [pods]}]
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return [_anywhere(address.port)]
    port = address.port if spec.get("clusterIP") == "None" else _target_port(spec, address.port)
    if not spec.get("selector"):
        return [_anywhere(port)]
    return [{"to": [pods | {"podSelector": {"matchLabels": spec["selector"]}}], "ports": [_port(port)]}]


def _within_cluster(rules: Iterable[Object]) -> Iterator[Object]:
    """Yield those of the rules that lead to pods: all others lead to addresses, which are the guard's to reach."""
    return (rule for rule in rules if all("ipBlock" not in peer for peer in rule["to"]))


def _target_port(spec: Object, port: int) -> int | str:
    """Return the pods' port, by number or by name, behind a Service's port."""
    item: Object = next((item for item in spec.get("ports", []) if item["port"] == port), {})
    target: int | str = item.get("targetPort") or port
    return target


def _anywhere(port: int | str) -> Object:
    """Return the rule to any address on a port; a port that only the pods behind a Service know by name could be any."""
    return {"to": _ANYWHERE} | ({"ports": [_port(port)]} if isinstance(port, int) else {})


def _port(port: int | str, protocol: str = "TCP") -> Object:
    return {"protocol": protocol, "port": port}


def _as_stored(rule: Object) -> Object:
    """Return a user's rule as the API server stores it, because otherwise the policy would always seem to have drifted."""
    ports = [{"protocol": "TCP"} | port for port in rule.get("ports", [])]
    return {key: value for key, value in (rule | {"ports": ports}).items() if value}


def _block(host: str) -> str | None:
    """Return the CIDR of an IP literal; None for any other host."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return f"{address}/{address.max_prefixlen}"


def _address(url: str) -> Address | None:
    """Return host and port of a URL; None for a URL to which nothing can connect."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return Address(parts.hostname.rstrip("."), port) if parts.hostname and port else None

"""Enforces the NetworkPolicies of a namespace's pods, as a cluster's network plugin would, by nftables on the node.

The network of the local cluster is a plain bridge and enforces none. This follows the API's own words: a pod that some policy
selects for a direction may do there what any of its policies allows, and nothing else; policies see a connection to a Service
after it was led to a pod. The rules are those of the moment of ``write``. Ports have names for
incoming connections only, and ``endPort`` is not read.
"""

import ipaddress
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

TABLE = "policies_of_a_test"
_NO_PORT = 0
"""What stands for a name that the pod has no port of: nobody connects to it."""


@dataclass(frozen=True)
class Cluster:
    """The objects that policies select, as the API server lists them."""

    namespaces: list[Object]
    pods: list[Object]
    policies: list[Object]


def ruleset(cluster: Cluster) -> str:
    """All of the table, to be loaded in one step. What answers an open connection passes."""
    chains, jumps = [], []
    for index, pod in enumerate(running(cluster.pods)):
        for direction, field, address in (("Egress", "to", "saddr"), ("Ingress", "from", "daddr")):
            found = [policy for policy in cluster.policies if _selects(policy, pod, direction)]
            if found:
                name = f"{direction.lower()}_{index}"
                lines = [line for policy in found for line in _allowed(cluster, pod, policy, direction, field)]
                chains.append(_block(f"chain {name}", [*lines, "drop"]))
                jumps.append(f"ip {address} {_ip(pod)} jump {name}")
    forward = ["type filter hook forward priority 0;", "ct state established,related accept", *jumps]
    return f"table ip {TABLE} {{}}\ndelete table ip {TABLE}\n" + _block(
        f"table ip {TABLE}", [*chains, _block("chain forward", forward)]
    )


def write(rules: str) -> None:
    """Make the node's kernel follow the rules."""
    done = subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=False, capture_output=True)
    assert not done.returncode, f"{done.stderr}\n{rules}"


def remove() -> None:
    """Let everything pass again."""
    write(f"table ip {TABLE} {{}}\ndelete table ip {TABLE}\n")


def running(pods: list[Object]) -> list[Object]:
    """The pods that have an address of their own."""
    return [
        pod
        for pod in pods
        if pod["status"].get("podIP")
        and pod["status"].get("phase") not in ("Succeeded", "Failed")
        and not pod["spec"].get("hostNetwork")
    ]


def _allowed(cluster: Cluster, pod: Object, policy: Object, direction: str, field: str) -> Iterator[str]:
    numbers = _numbers(pod) if direction == "Ingress" else {}
    side = "daddr" if direction == "Egress" else "saddr"
    for rule in policy["spec"].get(direction.lower()) or []:
        peers = (
            [""]
            if not rule.get(field)
            else [line for peer in rule[field] for line in _peer(cluster, policy, peer, side)]
        )
        ports = [_port(port, numbers) for port in rule.get("ports") or []] or [""]
        yield from (f"{peer} {port} return".strip() for peer in peers for port in ports)


def _peer(cluster: Cluster, policy: Object, peer: Object, side: str) -> Iterator[str]:
    if block := peer.get("ipBlock"):
        if ipaddress.ip_network(block["cidr"]).version == 4:
            excepted = "".join(f"ip {side} != {cidr} " for cidr in block.get("except", []))
            yield f"{excepted}ip {side} {block['cidr']}"
        return
    spaces = {policy["metadata"]["namespace"]}
    if "namespaceSelector" in peer:
        spaces = {s["metadata"]["name"] for s in cluster.namespaces if _matches(peer["namespaceSelector"], s)}
    pods = [pod for pod in running(cluster.pods) if pod["metadata"]["namespace"] in spaces]
    found = [_ip(pod) for pod in pods if _matches(peer.get("podSelector", {}), pod)]
    if found:
        yield f"ip {side} {{ {', '.join(found)} }}"


def _port(port: Object, numbers: dict[str, int]) -> str:
    protocol = port.get("protocol", "TCP").lower()
    if "port" not in port:
        return f"meta l4proto {protocol}"
    number = port["port"]
    return f"{protocol} dport {number if isinstance(number, int) else numbers.get(number, _NO_PORT)}"


def _numbers(pod: Object) -> dict[str, int]:
    """Return the numbers of a pod's ports that have names."""
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", [])]
    return {port["name"]: port["containerPort"] for port in ports if "name" in port}


def _selects(policy: Object, pod: Object, direction: str) -> bool:
    return (
        policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
        and direction in policy["spec"]["policyTypes"]
        and _matches(policy["spec"]["podSelector"], pod)
    )


def _matches(selector: Object, body: Object) -> bool:
    assert not selector.get("matchExpressions"), "not read here"
    wanted: Object = selector.get("matchLabels", {})
    return bool(wanted.items() <= body["metadata"].get("labels", {}).items())


def _ip(pod: Object) -> str:
    address: str = pod["status"]["podIP"]
    return address


def _block(head: str, lines: list[str]) -> str:
    return f"{head} {{\n" + "\n".join(lines) + "\n}\n"

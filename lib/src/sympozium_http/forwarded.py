"""Headers in which a proxy in front says how its caller has addressed it, and from where: X-Forwarded-Proto, -Host, -Prefix and -For."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.requests import HTTPConnection

Network = IPv4Network | IPv6Network

PRIVATE = "private"
"""Word for the addresses that the internet does not route: pods, nodes, the host itself."""
NOBODY = "none"
"""Word for no address at all."""
_PRIVATE_RANGES = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("fc00::/7", "fe80::/10", "::1/128"),
)
_NETWORK_BITS = 64
"""Bits of an IPv6 address that name a network: its hosts choose the rest."""
_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")


@dataclass(frozen=True)
class Address:
    """Address under which a caller knows a server: scheme, host with port, and the path before the server's own paths."""

    scheme: str
    host: str
    """Empty if the caller's Host is not that of a URL."""
    prefix: str = ""
    """Empty, or such as ``/assistant``: a proxy has removed it from the path."""


def networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a comma-separated list of addresses, CIDRs and the word ``private``. Raises ValueError."""
    words = [word.strip() for word in text.split(",") if word.strip() not in ("", NOBODY)]
    return tuple(ip_network(each) for word in words for each in (_PRIVATE_RANGES if word == PRIVATE else (word,)))


def address(request: HTTPConnection, trusted: tuple[Network, ...]) -> Address:
    """Return the address that the caller used, as the proxy in front tells it if the proxy is one of the trusted."""
    host = _host(request.headers.get("host", ""))
    if not _is_trusted(request, trusted):
        return Address("http", host)
    scheme = "https" if _outermost(request, "x-forwarded-proto").lower() == "https" else "http"
    prefix = _outermost(request, "x-forwarded-prefix")
    return Address(
        scheme,
        _host(_outermost(request, "x-forwarded-host")) or host,
        prefix.rstrip("/") if _PREFIX.fullmatch(prefix) else "",
    )


def caller_address(request: HTTPConnection, trusted: tuple[Network, ...]) -> str:
    """Return the IP address that has connected to a trusted proxy in front, else to this server. Empty: unknown.

    Proxies append to X-Forwarded-For, so its last entry is that of the proxy that this server trusts, and a caller cannot choose it.
    """
    peer = request.client.host if request.client else ""
    if not _is_trusted(request, trusted):
        return peer
    entry = ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
    try:
        return str(ip_address(entry))
    except ValueError:
        return peer


def _host(text: str) -> str:
    return text if _HOST.fullmatch(text) else ""


def _outermost(request: HTTPConnection, name: str) -> str:
    """Return what the proxy nearest to the caller has written: every further proxy appends its own."""
    return request.headers.get(name, "").partition(",")[0].strip()


def _is_trusted(request: HTTPConnection, trusted: tuple[Network, ...]) -> bool:
    if request.client is None:
        return False
    try:
        peer = ip_address(request.client.host)
    except ValueError:
        return False
    return any(peer in network for network in trusted)


def network(address: str) -> str:
    """Return the network of an IPv6 address, and any other address as it is."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, _NETWORK_BITS), strict=False).network_address)

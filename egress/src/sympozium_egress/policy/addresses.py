"""Address policy: which IP addresses a call may reach, whatever name led to them."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_NEVER: tuple[tuple[str, tuple[Network, ...]], ...] = tuple(
    (words, tuple(ip_network(text) for text in networks))
    for words, networks in (
        (
            "a metadata service",
            (
                *("169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
                *("fd00:ec2::254/128", "fd20:ce::254/128"),
            ),
        ),
        ("loopback", ("127.0.0.0/8", "::1/128")),
        ("link-local", ("169.254.0.0/16", "fe80::/10", "fec0::/10")),
        (
            "no host's",
            ("0.0.0.0/8", "::/128", "224.0.0.0/4", "240.0.0.0/4", "192.0.0.0/24", "192.88.99.0/24", "ff00::/8"),
        ),
        (
            "another address in disguise",
            ("2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48"),
        ),
    )
)
"""Networks that no setting opens: 6to4, Teredo, IPv4-compatible, SIIT and local NAT64 lead to an IPv4 address of the sender's choice."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""Prefix by which a network without IPv4 reaches IPv4 addresses (RFC 6052). The IPv4 address inside is judged."""
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_ISATAP = (0x00005EFE, 0x02005EFE)
"""Upper halves of interface ids whose lower halves are IPv4 addresses (RFC 5214)."""


@dataclass(frozen=True)
class AddressPolicy:
    """Addresses that calls may reach: all public ones, and private ones in ``private_networks``; never those in ``forbidden``."""

    private_networks: tuple[Network, ...] = ()
    forbidden: frozenset[Address] = frozenset()
    """Addresses of the API server and of the guard's own database."""

    def refusal(self, text: str) -> str | None:
        """Return the reason why an address must not be reached, without the address; None if it may be."""
        try:
            address = ip_address(text)
        except ValueError:
            return "is not an address"
        if isinstance(address, IPv6Address):
            if address.scope_id is not None:
                return "has a zone"
            address = address.ipv4_mapped or _nat64(address) or address
        return self._refusal(address)

    def _refusal(self, address: Address) -> str | None:
        if address in self.forbidden:
            return "is the API server's or the guard's own"
        for words, networks in _NEVER:
            if _within(address, networks):
                return f"is {words}"
        if isinstance(address, IPv6Address) and (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
            return "is another address in disguise"
        if _is_public(address) or _within(address, self.private_networks):
            return None
        return "is private, and not in egress.privateNetworks"

    def first_refusal(self, addresses: Iterable[str]) -> str | None:
        """Return the reason why one of these addresses must not be reached: a name with one such address is not called at all."""
        return next((reason for reason in map(self.refusal, addresses) if reason is not None), None)

    def without_private(self) -> "AddressPolicy":
        """Return the policy of calls that may reach public addresses only."""
        return AddressPolicy(forbidden=self.forbidden)


def _nat64(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _is_public(address: Address) -> bool:
    return address.is_global and (isinstance(address, IPv4Address) or address in _GLOBAL_IPV6)

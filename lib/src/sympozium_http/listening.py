"""Sockets of every port of every process, on IPv4 and on IPv6."""

import errno
import ipaddress
import socket

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - a pod's address is not known in advance
"""Address that stands for all addresses of the host, IPv6 included."""
_BACKLOG = 2048
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_NO_FAMILY = (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EADDRNOTAVAIL)
"""Errors of a host that has no addresses of a family: a kernel without IPv6, or IPv6 switched off."""


def bind_address(text: str) -> str:
    """Return the address that a text names. Raises ValueError if it names none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("is not an IP address") from None


def listening_sockets(port: int, address: str = ALL_ADDRESSES) -> list[socket.socket]:
    """Return sockets that listen on an address of the host. ALL_ADDRESSES: one for IPv4 and one for IPv6, as far as the host has them.

    Raises OSError if the port is taken, or the host has no such address.
    """
    addresses = (ALL_ADDRESSES, "::") if address == ALL_ADDRESSES else (address,)
    sockets: list[socket.socket] = []
    try:
        for one in addresses:
            try:
                sockets.append(_listening(_FAMILIES[ipaddress.ip_address(one).version], one, port))
            except OSError as error:
                if error.errno not in _NO_FAMILY:
                    raise
    except OSError:
        for opened in sockets:
            opened.close()
        raise
    if not sockets:
        raise OSError(errno.EADDRNOTAVAIL, f"the host has no address {address}")
    return sockets


def _listening(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    """Return a socket of one family; IPv6 without IPv4, so that a caller's address has its own form."""
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((address, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening

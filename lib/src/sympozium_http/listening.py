"""Sockets of every port of every process, on IPv4 and on IPv6."""

import errno
import socket

_BACKLOG = 2048
_NO_FAMILY = (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EADDRNOTAVAIL)
"""Errors of a host that has no addresses of a family: a kernel without IPv6, or IPv6 switched off."""


def listening_sockets(port: int) -> list[socket.socket]:
    """Return sockets that listen on all addresses of the host, one for IPv4 and one for IPv6, as far as the host has them.

    Raises OSError if the port is taken, or the host has neither.
    """
    sockets: list[socket.socket] = []
    try:
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - a pod's address is not known in advance
            try:
                sockets.append(_listening(family, address, port))
            except OSError as error:
                if error.errno not in _NO_FAMILY:
                    raise
    except OSError:
        for opened in sockets:
            opened.close()
        raise
    if not sockets:
        raise OSError(errno.EADDRNOTAVAIL, "the host has neither IPv4 nor IPv6")
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

"""Reasons why an address does not answer, told by class: not by what a library or the other side says."""

import socket
import ssl
from dataclasses import dataclass

import aiohttp


@dataclass(frozen=True)
class NetworkFailure:
    """Stable reason, in CamelCase, and the words for people."""

    reason: str
    words: str


def failure_of(error: BaseException) -> NetworkFailure:  # noqa: PLR0911 - one line per class
    """Return the class of an exception of aiohttp, or of the network below it."""
    match error:
        case aiohttp.InvalidURL():
            return NetworkFailure("InvalidAddress", "the address is not valid")
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return NetworkFailure("ProxyFailed", "the proxy cannot be reached, or refuses the connection")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return NetworkFailure("TLSFailed", "no TLS connection, or a certificate that is not trusted")
        case TimeoutError():
            return NetworkFailure("Timeout", "no answer in time")
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return NetworkFailure("NameNotFound", "name not found")
        case ConnectionRefusedError():
            return NetworkFailure("ConnectionRefused", "connection refused")
        case aiohttp.ClientConnectorError(os_error=cause) if cause is not error:
            return failure_of(cause)
    return NetworkFailure("ConnectionFailed", "the connection cannot be made, or breaks")

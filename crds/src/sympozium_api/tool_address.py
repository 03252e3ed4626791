"""Addresses of tools: which URLs may be called at all, as far as their text shows. Pure."""

import ipaddress
import re
from urllib.parse import urlsplit

_HOST = re.compile(r"([a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_VISIBLE = re.compile(r"[!-~]+")
_LONGEST_HOST = 253


class AddressError(ValueError):
    """A URL that is never called. The message says why, without the URL."""


def host_of(url: str) -> str:
    """Return the host of an http or https URL, in lower case. Raises AddressError.

    Every form that two parsers could read differently is refused: user information, backslashes, blanks and control characters,
    percent signs and other scripts in the host, numbers that some resolvers take for IPv4 addresses, zone ids.
    """
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        raise AddressError("has characters that no URL may have unescaped")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressError("is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise AddressError("must begin with http:// or https://")
    if "@" in parts.netloc:
        raise AddressError("must not have user information")
    if port == 0:
        raise AddressError("has no valid port")
    if "[" in parts.netloc:
        return _ipv6(parts.netloc, host)
    if len(host) > _LONGEST_HOST or not _HOST.fullmatch(host):
        raise AddressError("has no host name of a-z, 0-9, - and .")
    if _NUMERIC.fullmatch(host.rpartition(".")[2]) and not _is_dotted(host):
        raise AddressError("has a number as its host")
    return host


def _ipv6(netloc: str, host: str) -> str:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        raise AddressError("has no valid IPv6 address as its host") from None
    if address.scope_id is not None or not re.fullmatch(r"\[[0-9A-Fa-f:.]+\](:[0-9]+)?", netloc):
        raise AddressError("has no valid IPv6 address as its host")
    return str(address)


def _is_dotted(host: str) -> bool:
    """Return true for an IPv4 address of four decimal numbers without leading zeros."""
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False

"""URLs of HTTP, as far as a client needs them. Pure. ``urllib.parse`` does more, and its import costs 5 ms."""

from __future__ import annotations

from sympozium_agent.transport.errors import TransportError
from sympozium_api.values import dataclass

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Url:
    """A URL in its parts."""

    scheme: str
    """``http`` or ``https``."""
    authority: str
    """Host and port as they were written, for the header Host."""
    host: str
    """Host name or address, in lower case and without brackets."""
    port: int
    target: str
    """Path and query."""

    @property
    def is_secure(self) -> bool:
        """True for https."""
        return self.scheme == "https"


def parse_url(text: str) -> Url:
    """Return the parts of a URL. Raises TransportError if it is none of HTTP."""
    scheme, authority, target = _split(text)
    if scheme not in _DEFAULT_PORTS:
        raise TransportError("the address is neither http:// nor https://", "InvalidAddress")
    host, port = _host_and_port(authority.rpartition("@")[2])
    if not host:
        raise _invalid("it names no host")
    if port and not (port.isascii() and port.isdecimal() and int(port[:6]) <= 65535):
        raise _invalid("its port is not a number from 0 to 65535")
    return Url(scheme, authority, host.lower(), int(port or 0) or _DEFAULT_PORTS[scheme], target)


def path_segment(name: str) -> str:
    """Return a name as one segment of a path: everything but RFC 3986's unreserved bytes is escaped."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-._~") else _escaped(sign) for sign in name)


def authority_of(text: str) -> str:
    """Return the part of a URL that holds user info, host and port."""
    return _split(text)[1]


def _escaped(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode(errors="replace"))


def _split(text: str) -> tuple[str, str, str]:
    scheme, mark, rest = text.partition("#")[0].partition("://")
    if not mark:
        return "", "", rest
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    target = rest[end:]
    return scheme.lower(), rest[:end], target if target.startswith("/") else f"/{target}"


def _host_and_port(authority: str) -> tuple[str, str]:
    if not authority.startswith("["):
        host, _, port = authority.partition(":")
        return host, port
    host, mark, port = authority[1:].partition("]")
    if not mark or (port and not port.startswith(":")):
        raise _invalid("its IPv6 address has no end")
    return host, port[1:]


def _invalid(why: str) -> TransportError:
    return TransportError(f"the address is not valid: {why}", "InvalidAddress")

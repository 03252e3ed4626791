"""Requests for a tunnel to a model server: ``CONNECT host:port``, with the pod's token and what the pod works for. Pure."""

import re
from dataclasses import dataclass

from sympozium_api.agent_protocol import HEADER_INSTANCE, HEADER_RUN
from sympozium_api.tool_address import AddressError, host_of

MAX_HEAD_BYTES = 16 * 1024
"""Bytes of a request line and its headers."""
_LINE = re.compile(r"CONNECT (\S{1,300}) HTTP/1\.[01]")


class BadTunnel(Exception):
    """A request that is no request for a tunnel. The message says why."""


@dataclass(frozen=True)
class TunnelRequest:
    """A request for a tunnel."""

    host: str
    """Host name in lower case, or an address without brackets."""
    port: int
    token: str
    """The pod's token."""
    run: str
    """Run that the pod works on; empty: the pod is idle."""
    instance: str
    """Instance whose idle agent the pod is, where ``run`` is empty."""


def parse_tunnel(head: bytes) -> TunnelRequest:
    """Return the request that a head is, without the empty line at its end. Raises BadTunnel."""
    line, *fields = head.decode("latin-1").split("\r\n")
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadTunnel("the request line is not CONNECT host:port HTTP/1.1")
    host, port = _target(found[1])
    headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    scheme, _, token = headers.get("proxy-authorization", "").partition(" ")
    is_bearer = scheme.lower() == "bearer"
    run, instance = headers.get(HEADER_RUN, ""), headers.get(HEADER_INSTANCE, "")
    if not run and not instance:
        raise BadTunnel(f"the header {HEADER_RUN} or {HEADER_INSTANCE} is missing")
    return TunnelRequest(host, port, token.strip() if is_bearer else "", run, instance)


def origin_of(url: str) -> tuple[str, int] | None:
    """Return host and port of a model server's base URL, in the form of a TunnelRequest; None for a URL that is never called."""
    try:
        host = host_of(url)
    except AddressError:
        return None
    scheme, _, rest = url.partition("://")
    _, mark, port = re.split("[/?#]", rest, maxsplit=1)[0].rpartition(":")
    return host, int(port) if mark and port.isdecimal() else {"http": 80, "https": 443}[scheme]


def _target(text: str) -> tuple[str, int]:
    port = text.rpartition(":")[2]
    if "/" in text:
        raise BadTunnel("the target is a URL instead of host:port")
    if not port.isdecimal() or not 0 < int(port[:6]) <= 65535:
        raise BadTunnel("the port is missing, or not a number from 1 to 65535")
    try:
        return host_of(f"http://{text}/"), int(port)
    except AddressError as error:
        raise BadTunnel(f"the address {error}") from None

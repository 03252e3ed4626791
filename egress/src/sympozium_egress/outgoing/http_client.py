"""One HTTP exchange with the world: checked and pinned addresses, redirects checked again, a bounded answer."""

import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from sympozium_api.effective_policy import EffectivePolicy
from sympozium_egress.outgoing.resolution import (
    CheckedHost,
    NameNotFound,
    PinnedResolver,
    Resolve,
    checked,
    system_addresses,
)
from sympozium_egress.policy.addresses import AddressPolicy
from sympozium_egress.policy.call_policy import CallRefused, allowed_host
from sympozium_egress.policy.held_bytes import Hold, TooMuchHeld, uncounted
from sympozium_egress.policy.tool_result import HttpAnswer

MOST_REDIRECTS = 5
_CONNECT_SECONDS = 5.0
"""Seconds for one connection: a server that does not even accept is tried again instead of waited for."""
_KEEPS_METHOD = (307, 308)
_BECOMES_GET = (301, 302, 303)
_FOR_EVERY_ORIGIN = ("accept", "accept-encoding", "content-type", "user-agent")
"""Headers that a redirect takes to another origin. All others may hold a credential."""


class Unreachable(Exception):
    """No answer: the connection cannot be made, or breaks. The message says how, by class. ``retried``: another attempt may succeed."""

    def __init__(self, message: str, *, retried: bool = True) -> None:
        super().__init__(message)
        self.retried = retried


@dataclass(frozen=True)
class HttpRequest:
    """A request, and what it may reach."""

    method: str
    url: str
    addresses: AddressPolicy
    domains: frozenset[str] | None
    """Hosts that may be reached, redirects included; None: any."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    ports: frozenset[int] | None = None
    """Ports that may be reached; None: any."""
    held: Callable[[], AbstractContextManager[Hold]] = uncounted
    """Returns the counter of an answer's bytes while it is read."""
    policy: EffectivePolicy | None = None
    """Policy whose ``egressHosts`` bound the hosts, redirects included."""
    namespace: str | None = None
    """Namespace whose Services have names without a dot."""


@dataclass(frozen=True)
class HttpClient:
    """Client of the world. Each exchange has a connection of its own, so that no connection outlives the check of its address."""

    max_answer_bytes: int
    resolve: Resolve = system_addresses
    tls: ssl.SSLContext | bool = True
    pin: Callable[[CheckedHost], AbstractResolver] = PinnedResolver
    """Resolver of a checked host, to its checked addresses alone."""

    async def send(self, request: HttpRequest, *, max_bytes: int | None = None) -> HttpAnswer:
        """Return the answer, after redirects. Raises CallRefused for what may not be reached, and Unreachable."""
        for _ in range(MOST_REDIRECTS + 1):
            answer, location = await self._exchange(request, max_bytes or self.max_answer_bytes)
            target = _redirected(request, answer.status, location)
            if target is None:
                return answer
            request = target
        raise CallRefused(f"more than {MOST_REDIRECTS} redirects")

    async def _exchange(self, request: HttpRequest, max_bytes: int) -> tuple[HttpAnswer, str | None]:
        host, url = _allowed(request)
        try:
            pinned = self.pin(
                await checked(host, request.addresses, self.resolve, policy=request.policy, namespace=request.namespace)
            )
        except NameNotFound:
            raise Unreachable(f"the name {host} is not found") from None
        connector = aiohttp.TCPConnector(resolver=pinned, use_dns_cache=False, force_close=True, ssl=self.tls)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        try:
            with request.held() as hold:
                async with (
                    aiohttp.ClientSession(
                        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout, auto_decompress=False
                    ) as session,
                    session.request(
                        request.method, url, data=request.body, headers=request.headers, allow_redirects=False
                    ) as response,
                ):
                    return await _bounded(response, max_bytes, hold), response.headers.get("location")
        except TooMuchHeld:
            raise Unreachable("the egress guard reads too many answers at the moment") from None
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            raise _unreachable(host, failure) from None  # a library's message may quote headers


def _allowed(request: HttpRequest) -> tuple[str, URL]:
    """Return the host and the URL as it is called. Raises CallRefused if the request may not reach them."""
    host = allowed_host(request.url, request.domains, request.policy)
    try:
        url = URL(request.url)
    except ValueError:
        raise CallRefused("the URL cannot be read") from None
    if url.host != host:
        raise CallRefused("the URL can be read in two ways")
    if request.ports is not None and url.port not in request.ports:
        raise CallRefused(f"the port {url.port} is not one of {', '.join(map(str, sorted(request.ports)))}")
    return host, url


def _redirected(request: HttpRequest, status: int, location: str | None) -> HttpRequest | None:
    """Return the request to which an answer redirects; None if it does not, or not one that keeps the method."""
    keeps = status in _KEEPS_METHOD or (status in _BECOMES_GET and request.method == "GET")
    if not keeps or not location:
        return None
    try:
        target = urljoin(request.url, location)
        same = URL(target).origin() == URL(request.url).origin()
    except ValueError:
        raise CallRefused("the redirect's address cannot be read") from None
    headers = request.headers if same else _public(request.headers)
    return replace(request, url=target, headers=headers)


def _public(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _FOR_EVERY_ORIGIN}


async def _bounded(response: aiohttp.ClientResponse, max_bytes: int, hold: Hold) -> HttpAnswer:
    """Read an answer up to ``max_bytes``; the rest is never read, however long it is."""
    body = bytearray()
    while len(body) <= max_bytes and (chunk := await response.content.read(max_bytes + 1 - len(body))):
        hold(len(chunk))
        body += chunk
    media_type, _, parameters = response.headers.get("content-type", "").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([A-Za-z0-9._:-]{1,40})", parameters, re.IGNORECASE)
    return HttpAnswer(
        status=response.status,
        content_type=media_type.strip().lower()[:100] if media_type.isascii() else "",
        charset=charset[1] if charset else "",
        content_encoding=response.headers.get("content-encoding", "").strip().lower()[:40],
        body=bytes(body[:max_bytes]),
        is_cut=len(body) > max_bytes,
        retry_after=response.headers.get("retry-after"),
    )


def _unreachable(host: str, failure: Exception) -> Unreachable:
    match failure:
        case aiohttp.ClientConnectorCertificateError():
            return Unreachable(f"the certificate of {host} is not trusted", retried=False)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return Unreachable(f"no TLS connection to {host}", retried=False)
        case aiohttp.ConnectionTimeoutError():
            return Unreachable(f"{host} does not accept the connection in time")
        case aiohttp.InvalidURL() | ValueError():
            return Unreachable(f"the request to {host} cannot be sent", retried=False)
    return Unreachable(f"the connection to {host} cannot be made, or breaks")

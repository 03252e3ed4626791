"""Resolution of host names: every address is checked, and the connection goes to one of them and to no other."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from sympozium_api import effective_policy
from sympozium_api.effective_policy import EffectivePolicy
from sympozium_egress.policy.addresses import AddressPolicy
from sympozium_egress.policy.call_policy import CallRefused

Resolve = Callable[[str], Awaitable[list[str]]]
"""Function that returns all addresses of a host name, and raises OSError if there are none."""


_LOOKUPS = ThreadPoolExecutor(128, thread_name_prefix="lookup")
"""Threads of their own: the event loop has four, and a name whose server does not answer keeps one for seconds."""


class NameNotFound(Exception):
    """A host name without an address."""


async def system_addresses(host: str) -> list[str]:
    """Return all addresses of a host name, as this pod's resolver knows them. Raises OSError."""
    found = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, _look_up, host)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _look_up(host: str) -> list[tuple[Any, ...]]:
    return list(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))


@dataclass(frozen=True)
class CheckedHost:
    """A host whose addresses were all checked."""

    host: str
    addresses: tuple[str, ...]


def looked_up(host: str, namespace: str | None) -> str:
    """Return the name under which a host is looked up: one without a dot is a Service of ``namespace``, as in that namespace's pods."""
    return host if namespace is None or "." in host or ":" in host else f"{host}.{namespace}.svc"


async def checked(
    host: str,
    reachable: AddressPolicy,
    resolve: Resolve = system_addresses,
    *,
    policy: EffectivePolicy | None,
    namespace: str | None = None,
) -> CheckedHost:
    """Return a host with its addresses. Raises CallRefused if one of them must not be reached, and NameNotFound.

    Without a namespace this pod's resolver knows names without a dot. A name with one that ``policy`` denies if it is a Service's, such
    as ``db.payments``, is looked up from the root, so that the cluster's domains are not tried.
    """
    try:
        addresses = [str(ipaddress.ip_address(host))]
    except ValueError:
        is_rooted = "." in host and effective_policy.is_denied_as_service(policy, host)
        addresses = await _resolved(f"{host}." if is_rooted else looked_up(host, namespace), resolve)
    if reason := reachable.first_refusal(addresses):
        raise CallRefused(f"the address of {host} {reason}")
    return CheckedHost(host, tuple(addresses))


async def _resolved(host: str, resolve: Resolve) -> list[str]:
    try:
        addresses = await resolve(host)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise NameNotFound(host.removesuffix("."))
    return addresses


class PinnedResolver(AbstractResolver):
    """Resolver of one host to the addresses that were checked: the name is not looked up again, so it cannot lead elsewhere."""

    def __init__(self, host: CheckedHost) -> None:
        self._host = host

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the checked addresses. Raises OSError for any other host."""
        if host != self._host.host:
            raise OSError(f"{host} was not checked")
        found = [_result(host, address, port) for address in self._host.addresses]
        return [result for result in found if family in (socket.AF_UNSPEC, result["family"])]

    async def close(self) -> None:
        """Do nothing: the resolver holds nothing."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=int(socket.AI_NUMERICHOST)
    )

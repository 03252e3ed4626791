"""Addresses that no setting opens: those of the API server, and of the store of rates."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

import structlog

from sympozium_api.client import ApiError, ApiUnavailable, Client
from sympozium_api.resources import ResourceType
from sympozium_egress.egress_settings import EgressSettings
from sympozium_egress.outgoing.resolution import Resolve, system_addresses
from sympozium_egress.policy.addresses import Address, AddressPolicy

log = structlog.get_logger()

REFRESH_SECONDS = 60.0
_SLICES = ResourceType("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")


class ForbiddenAddresses:
    """The address policy, with forbidden addresses that are looked up again and again."""

    def __init__(self, client: Client, settings: EgressSettings, resolve: Resolve = system_addresses) -> None:
        self._client = client
        self._resolve = resolve
        redis = urlsplit(settings.redis_url).hostname if settings.redis_url else None
        self._hosts = [host for host in (settings.api_server, redis) if host]
        self._private = settings.private_networks
        self._by_source: dict[str, frozenset[Address]] = {}

    def policy(self) -> AddressPolicy:
        """Return the policy at this moment."""
        return AddressPolicy(self._private, frozenset().union(*self._by_source.values()))

    async def refresh(self) -> None:
        """Look the addresses up. A source that does not answer keeps those that it had."""
        for host in self._hosts:
            try:
                self._by_source[host] = _parsed([host]) or _parsed(await self._resolve(host))
            except OSError:
                log.warning("forbidden host not found", host=host)
        try:
            body = await self._client.find(_SLICES, "default", "kubernetes")
        except (ApiError, ApiUnavailable) as failure:
            log.warning("the API server's addresses cannot be read", error=type(failure).__name__)
            return
        endpoints = (body or {}).get("endpoints") or []
        self._by_source["kubernetes"] = _parsed(
            address for endpoint in endpoints for address in endpoint.get("addresses") or []
        )


def _parsed(texts: Iterable[str]) -> frozenset[Address]:
    found = set()
    for text in texts:
        try:
            found.add(ipaddress.ip_address(text))
        except ValueError:
            continue
    return frozenset(found)

"""Settings of the egress guard, from environment variables that the chart sets."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from sympozium_api import environment
from sympozium_api.redis_setting import read_redis_url
from sympozium_api.settings_parser import SettingsParser, boolean, byte_count, whole_number
from sympozium_egress.policy.addresses import Network


@dataclass(frozen=True)
class EgressSettings:
    """Settings of one process."""

    namespace: str
    """The pod's own namespace."""
    private_networks: tuple[Network, ...] = ()
    """Private networks that calls may reach."""
    max_response_bytes: int = 1024 * 1024
    """Bytes of an answer that are read."""
    redis_url: str = ""
    """URL of the Valkey or Redis that counts calls; empty: this process's memory."""
    retries: int = 2
    """Attempts of a call after the first."""
    metrics_on_http: bool = False
    """True if /metrics is at port 8082 too."""
    api_server: str = ""
    """Address of the API server, as Kubernetes tells every pod."""


def from_environment(environ: Mapping[str, str]) -> EgressSettings:
    """Return the settings of this process. Raises InvalidSetting."""
    parser = SettingsParser(environ)
    return EgressSettings(
        namespace=parser.required(environment.NAMESPACE),
        private_networks=parser.read("SYMPOZIUM_EGRESS_PRIVATE_NETWORKS", "", networks),
        max_response_bytes=parser.read("SYMPOZIUM_EGRESS_MAX_RESPONSE", "1Mi", byte_count("1Ki", "16Mi")),
        redis_url=read_redis_url(environ, "SYMPOZIUM_EGRESS_REDIS_URL"),
        retries=parser.read("TOOL_RETRY_ATTEMPTS", "2", whole_number(0, 10)),
        metrics_on_http=parser.read(environment.METRICS_ON_HTTP, "false", boolean),
        api_server=environ.get("KUBERNETES_SERVICE_HOST", ""),
    )


def networks(text: str) -> tuple[Network, ...]:
    """Return the networks in a comma-separated list of CIDRs. Raises ValueError."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("is not a comma-separated list of CIDRs such as 10.0.0.0/8") from None

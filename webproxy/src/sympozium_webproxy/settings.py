"""Settings of the web-proxy, read once from the environment that the operator gives its pod."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sympozium_api import environment, names
from sympozium_api.settings_parser import SettingsParser, boolean, byte_count, duration, duration_between
from sympozium_http import forwarded
from sympozium_http.byte_budget import DEFAULT_LIMIT


@dataclass(frozen=True)
class WebProxySettings:
    """Settings that hold for the life of the process. All that can change meanwhile is in the instance."""

    namespace: str
    instance: str
    pod_ip: str
    api_keys: Path = Path(environment.API_KEYS_DIR)
    session_key: Path = Path(environment.SESSION_KEY_FILE)
    """File with the key that signs MCP sessions, the same at all replicas of the instance."""
    provider_keys: tuple[Path, ...] = tuple(Path(name) for name in environment.PROVIDER_KEY_FILES)
    """Files with the model's API key, if the instance offers embeddings; the first that exists counts."""
    provider_folder: Path = Path(environment.PROVIDER_KEYS_DIR)
    """Folder with the API key of the model's Provider, if it has one and the instance offers embeddings."""
    header_folder: Path = Path(environment.PROVIDER_HEADERS_DIR)
    """Folder with the secret headers of that Provider."""
    max_body_bytes: int = 8 * 1024 * 1024
    """Bytes of a request's body. What one object cannot hold is kept in AgentRunParts."""
    max_held_bytes: int = DEFAULT_LIMIT
    """Bytes of requests and answers that the process holds before it refuses new requests."""
    keep_alive_seconds: float = 15.0
    """Seconds of silence after which a stream gets a comment; well below the 60 s after which proxies cut idle connections."""
    trusted_proxies: tuple[forwarded.Network, ...] = forwarded.networks(forwarded.PRIVATE)
    """Networks of the proxies whose X-Forwarded headers count."""
    store_wait_seconds: float = 1.0
    """Longest time that the end of an answer waits for being stored before it is sent to its caller."""
    key_grace_seconds: float = 30.0
    """Seconds for which a run with an Idempotency-Key continues after its last caller has left."""
    linger_seconds: float = 8.0
    """Seconds after SIGTERM in which new requests are served: a client learns from an answer to close its connection."""
    grace_seconds: int = 600
    """Seconds that open requests may still take after that: the longest wait for an answer. The pod's grace period is longer."""

    probe_interval_seconds: float = 0.0
    """Seconds between two checks of the model server and the issuer, give or take a fifth; 0: they are not checked."""
    metrics_on_http: bool = False
    """True if port 8080 has /metrics too, as before 0.3.0."""

    key_retention_seconds: int = 24 * 3600
    """Seconds for which an Idempotency-Key stands, from its run's creation."""
    http_port: int = names.HTTP_PORT
    """Port at which other replicas forward messages to this one."""

    @property
    def address(self) -> str:
        """Return the host and port at which other replicas reach this one."""
        return f"{self._host}:{self.http_port}"

    @property
    def instance_key(self) -> tuple[str, str]:
        """Namespace and name of the instance."""
        return self.namespace, self.instance

    @property
    def reply_to(self) -> str:
        """Return the URL at which agent pods reach this replica's agent API."""
        return names.agent_api_url(self.pod_ip)

    @property
    def _host(self) -> str:
        return f"[{self.pod_ip}]" if ":" in self.pod_ip else self.pod_ip


def from_environment(environ: Mapping[str, str]) -> WebProxySettings:
    """Return the settings of this process. Raises InvalidSetting."""
    parser = SettingsParser(environ)
    return WebProxySettings(
        namespace=parser.required(environment.NAMESPACE),
        instance=parser.required(environment.INSTANCE),
        pod_ip=parser.required(environment.POD_IP),
        max_body_bytes=parser.read(environment.MAX_BODY, "8Mi", byte_count("1Ki", "8Mi")),
        max_held_bytes=parser.read(environment.MAX_HELD, "64Mi", byte_count("4Mi", "65536Mi")),
        key_retention_seconds=parser.read(environment.KEY_RETENTION, "24h", duration),
        grace_seconds=parser.read(environment.SHUTDOWN_GRACE, "10m", duration),
        keep_alive_seconds=float(parser.read(environment.KEEP_ALIVE, "15s", duration_between("1s", "1h"))),
        metrics_on_http=parser.read(environment.METRICS_ON_HTTP, "false", boolean),
        trusted_proxies=parser.read(environment.TRUSTED_PROXIES, forwarded.PRIVATE, forwarded.networks),
        key_grace_seconds=float(parser.read(environment.KEY_GRACE, "30s", duration_between("1s", "1h"))),
        probe_interval_seconds=float(parser.read(environment.PROBE_INTERVAL, "5m", _probe_interval)),
        store_wait_seconds=float(parser.read(environment.STORE_WAIT, "1s", duration_between("1s", "1m"))),
    )


def _probe_interval(text: str) -> int:
    return 0 if text == environment.PROBES_OFF else duration_between("10s", "24h")(text)

"""WebProxySettings of the web-proxy: read once, from the environment that the operator gives its pod."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sympozium_api import environment, names
from sympozium_api.settings_parser import SettingsParser, byte_count, duration_between


@dataclass(frozen=True)
class WebProxySettings:
    """What a web-proxy is told when it starts. All that may change while it runs is in its instance."""

    namespace: str
    instance: str
    pod_ip: str
    api_keys: Path = Path(environment.API_KEYS_DIR)
    provider_keys: tuple[Path, ...] = tuple(Path(name) for name in environment.PROVIDER_KEY_FILES)
    """Where the model's API key is, if the instance offers embeddings; the first that exists counts."""
    max_body_bytes: int = 1024 * 1024
    """With an answer of ``run.MAX_RESULT_BYTES`` a run stays below etcd's limit."""
    keep_alive_seconds: float = 15.0
    """A stream that is still silent after this gets a comment: well below the 60 s after which proxies cut idle connections."""
    linger_seconds: float = 8.0
    """How long new requests are served after SIGTERM: callers with open connections are told to close them, and need a request for it."""
    grace_seconds: int = 600
    """How long open requests may go on after that; the pod's own grace period is longer."""

    http_port: int = names.HTTP_PORT
    """Where the other replicas reach this one with what came to them and is this one's to answer."""

    @property
    def address(self) -> str:
        """Host and port at which the other replicas reach this one."""
        return f"{self._host}:{self.http_port}"

    @property
    def reply_to(self) -> str:
        """Where agent pods reach this replica's runs surface."""
        return f"http://{self._host}:{names.RUNS_PORT}"

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
        # Kubernetes stores at most 1.5 MiB in an object unless its etcd was told otherwise.
        max_body_bytes=parser.read(environment.MAX_BODY, "1Mi", byte_count("1Ki", "2Mi")),
        keep_alive_seconds=float(parser.read(environment.KEEP_ALIVE, "15s", duration_between("1s", "1h"))),
    )

"""Settings of the web-proxy: read once, from the environment that the operator gives its pod."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sympozium_api import environment, names


class InvalidSetting(SystemExit):
    """A variable that is missing: the process refuses to start, naming it."""


@dataclass(frozen=True)
class Settings:
    """What a web-proxy is told when it starts. All that may change while it runs is in its instance."""

    namespace: str
    instance: str
    pod_ip: str
    api_keys: Path = Path(environment.API_KEYS_DIR)
    max_body_bytes: int = 1024 * 1024
    """With an answer of ``run.MAX_RESULT_BYTES`` a run stays below etcd's limit."""
    keep_alive_seconds: float = 15.0
    """A stream that is still silent after this gets a comment: well below the 60 s after which proxies cut idle connections."""
    linger_seconds: float = 8.0
    """How long new requests are served after SIGTERM: callers with open connections are told to close them, and need a request for it."""
    grace_seconds: int = 600
    """How long open requests may go on after that; the pod's own grace period is longer."""

    @property
    def reply_to(self) -> str:
        """Where agent pods reach this replica's runs surface."""
        host = f"[{self.pod_ip}]" if ":" in self.pod_ip else self.pod_ip
        return f"http://{host}:{names.RUNS_PORT}"


def from_environment(environ: Mapping[str, str]) -> Settings:
    """The settings of this process; raises InvalidSetting."""
    return Settings(
        namespace=_required(environ, environment.NAMESPACE),
        instance=_required(environ, environment.INSTANCE),
        pod_ip=_required(environ, environment.POD_IP),
    )


def _required(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise InvalidSetting(f"{name} is not set")
    return environ[name]

"""WebProxySettings of the web-proxy: read once, from the environment that the operator gives its pod."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sympozium_api import environment, names
from sympozium_api.base import seconds

_KEEP_ALIVE_SECONDS = range(1, 3601)
_BODY_BYTES = range(1024, 2 * 1024 * 1024 + 1)
"""Kubernetes stores at most 1.5 MiB in an object unless its etcd was told otherwise."""
_UNITS = {"": 1, "Ki": 1024, "Mi": 1024 * 1024}


class InvalidSetting(SystemExit):
    """A variable that is missing or cannot be read: the process refuses to start, naming it."""


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
    """The settings of this process; raises InvalidSetting."""
    return WebProxySettings(
        namespace=_required(environ, environment.NAMESPACE),
        instance=_required(environ, environment.INSTANCE),
        pod_ip=_required(environ, environment.POD_IP),
        max_body_bytes=_bytes(environ, environment.MAX_BODY, "1Mi"),
        keep_alive_seconds=_seconds(environ, environment.KEEP_ALIVE, "15s"),
    )


def _required(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise InvalidSetting(f"{name} is not set")
    return environ[name]


def _bytes(environ: Mapping[str, str], name: str, default: str) -> int:
    text = environ.get(name) or default
    found = re.fullmatch(r"([0-9]{1,9})(Ki|Mi)?", text)
    if found and (count := int(found[1]) * _UNITS[found[2] or ""]) in _BODY_BYTES:
        return count
    raise InvalidSetting(f"{name}: {text!r} is not a number of bytes from 1Ki to 2Mi")


def _seconds(environ: Mapping[str, str], name: str, default: str) -> float:
    text = environ.get(name) or default
    try:
        count = seconds(text)
    except ValueError as error:
        raise InvalidSetting(f"{name}: {error}") from error
    if count in _KEEP_ALIVE_SECONDS:
        return float(count)
    raise InvalidSetting(f"{name}: {text!r} is not from 1s to 1h")

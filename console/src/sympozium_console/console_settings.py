"""Settings of the console, read once from the environment that the chart gives its pod."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sympozium_api import environment
from sympozium_api.settings_parser import SettingsParser, boolean


@dataclass(frozen=True)
class ConsoleSettings:
    """The settings of one console."""

    namespace: str
    """The console's own namespace, which holds the built-in SkillPacks."""
    tokens: Path = Path(environment.CONSOLE_TOKENS_DIR)
    max_body_bytes: int = 1024 * 1024
    """The largest body accepted: the API server stores no larger object."""
    keep_alive_seconds: float = 15.0
    """Seconds between a stream's keep-alive comments, well below the 60 s after which proxies cut idle connections."""
    metrics_on_http: bool = False
    """True if port 8080 has /metrics too, as before 0.3.0."""
    grace_seconds: int = 20
    """Seconds for open requests after SIGTERM, below the pod's own grace period of 30 s."""


def from_environment(environ: Mapping[str, str]) -> ConsoleSettings:
    """Return the settings of this process. Raises InvalidSetting."""
    parser = SettingsParser(environ)
    return ConsoleSettings(
        namespace=parser.required(environment.NAMESPACE),
        metrics_on_http=parser.read(environment.METRICS_ON_HTTP, "false", boolean),
    )

"""ConsoleSettings of the console: read once, from the environment that the chart gives its pod."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sympozium_api import environment


class InvalidSetting(SystemExit):
    """A variable that is missing: the process refuses to start, naming it."""


@dataclass(frozen=True)
class ConsoleSettings:
    """What a console is told when it starts."""

    namespace: str
    """Its own namespace, where the built-in SkillPacks are."""
    tokens: Path = Path(environment.CONSOLE_TOKENS_DIR)
    max_body_bytes: int = 1024 * 1024
    """No object that is larger would be stored."""
    keep_alive_seconds: float = 15.0
    """A stream that is still silent after this gets a comment: well below the 60 s after which proxies cut idle connections."""
    grace_seconds: int = 20
    """How long open requests may go on after SIGTERM; below the pod's own grace period of 30 s."""


def from_environment(environ: Mapping[str, str]) -> ConsoleSettings:
    """The settings of this process; raises InvalidSetting."""
    if not environ.get(environment.NAMESPACE):
        raise InvalidSetting(f"{environment.NAMESPACE} is not set")
    return ConsoleSettings(namespace=environ[environment.NAMESPACE])

"""What the agent is told by its pod, and how long it waits for whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sympozium_api import environment


@dataclass(frozen=True)
class AgentSettings:
    """What one pod is for, and its files."""

    run: str | None
    """The pod's run; None: it waits for any run of ``instance``."""
    addresses: tuple[str, ...]
    """Base URLs of runs surfaces, the preferred one first. An idle pod waits at the first."""
    token_file: Path = Path(environment.RUNS_TOKEN_FILE)
    key_files: tuple[Path, ...] = tuple(Path(name) for name in environment.PROVIDER_KEY_FILES)
    termination_file: Path = Path(environment.TERMINATION_MESSAGE_FILE)
    instance: str = ""
    idle_ttl: float = 0.0
    """Seconds for which an idle pod waits."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """AgentSettings from the pod's variables. Raises SystemExit with the variable's name where one is missing."""
        addresses = tuple(
            url.strip().rstrip("/") for url in _needed(environ, environment.RUNS_URLS).split(",") if url.strip()
        )
        if environ.get(environment.IDLE_TTL):
            ttl, instance = float(environ[environment.IDLE_TTL]), _needed(environ, environment.INSTANCE)
            return cls(run=None, addresses=addresses, instance=instance, idle_ttl=ttl)
        return cls(run=_needed(environ, environment.RUN), addresses=addresses)

    def token(self) -> str:
        """The pod's token, read anew for each request because the kubelet replaces it."""
        return self.token_file.read_text().strip()

    def key(self) -> str | None:
        """The model's API key: the first of the files that exists."""
        found = next((file for file in self.key_files if file.is_file()), None)
        return found.read_text().strip() or None if found else None


@dataclass(frozen=True)
class Timeouts:
    """Waiting times in seconds."""

    connect: float = 2.5
    """For a connection to a runs surface: within a cluster it takes milliseconds, or the node is gone."""
    task: float = 120.0
    """For the answer to one long poll; the runs surface answers 204 well before."""
    idle: float = 120.0
    """For any runs surface to take an idle pod in: where there is none for longer, the pod is of no use."""
    acknowledgement: float = 10.0
    """For the answer to an end record, which is stored before it is acknowledged."""
    first_pause: float = 0.05
    longest_pause: float = 1.0
    grace: float = 30.0
    """For the delivery of the end record, beyond the run's deadline."""
    farewell: float = 3.0
    """For the delivery of the end record after SIGTERM."""
    linger: float = 5.0
    """Of a pod that was idle, after its run: taking a pod down costs a node more than a warm run does, and a burst goes first."""


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip(" ,")
    if not value:
        raise SystemExit(f"{name} is not set")
    return value

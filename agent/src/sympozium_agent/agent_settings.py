"""The agent's settings, from the variables of its pod, and its timeouts."""

from __future__ import annotations

import os

from sympozium_api import environment
from sympozium_api.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from sympozium_api.agent_records import ModelTarget

    StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class AgentSettings:
    """The run or instance that a pod serves, and the pod's files."""

    run: str | None
    """The pod's run; None: the pod waits for any run of ``instance``."""
    addresses: tuple[str, ...]
    """Base URLs of the agent API, the preferred one first. An idle pod waits at the first."""
    token_file: StrPath = environment.RUNS_TOKEN_FILE
    key_files: tuple[StrPath, ...] = environment.PROVIDER_KEY_FILES
    termination_file: StrPath = environment.TERMINATION_MESSAGE_FILE
    keys_dir: StrPath = environment.PROVIDER_KEYS_DIR
    headers_dir: StrPath = environment.PROVIDER_HEADERS_DIR
    instance: str = ""
    idle_ttl: float = 0.0
    """Seconds for which an idle pod waits."""
    guard_url: str = ""
    """URL of the egress guard; empty: models outside the cluster are called directly."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Parse the pod's variables. Raises SystemExit with the name of a variable that is missing."""
        addresses = tuple(
            url.strip().rstrip("/") for url in _required(environ, environment.RUNS_URLS).split(",") if url.strip()
        )
        guard = environ.get(environment.EGRESS_GUARD, "")
        if environ.get(environment.IDLE_TTL):
            ttl, instance = float(environ[environment.IDLE_TTL]), _required(environ, environment.INSTANCE)
            return cls(run=None, addresses=addresses, instance=instance, idle_ttl=ttl, guard_url=guard)
        return cls(run=_required(environ, environment.RUN), addresses=addresses, guard_url=guard)

    def token(self) -> str:
        """Read the pod's token; again for each request, because the kubelet replaces it."""
        return _read(self.token_file)

    def credentials(self, model: ModelTarget) -> tuple[str | None, dict[str, str]]:
        """Read a model's API key, from the first of its files that exists, and its secret headers."""
        if "key" not in model:
            return _first_of(self.key_files), {}
        folder = os.path.join(self.keys_dir, model["key"])  # noqa: PTH118 - see _read
        headers = os.path.join(self.headers_dir, model["key"])  # noqa: PTH118
        names = [name for name in os.listdir(headers) if name[0] != "."] if os.path.isdir(headers) else []  # noqa: PTH112, PTH208
        values = {name.lower(): _read(os.path.join(headers, name)) for name in names}  # noqa: PTH118
        return _first_of(os.path.join(folder, name) for name in environment.PROVIDER_KEYS), values  # noqa: PTH118

    def leave_message(self, text: str) -> None:
        """Write the pod's termination message."""
        with open(self.termination_file, "w", encoding="utf-8") as file:  # noqa: PTH123 - see _read
            file.write(text)


@dataclass(frozen=True)
class Timeouts:
    """Longest waits in seconds."""

    connect: float = 2.5
    """A connection to the agent API: within a cluster it takes milliseconds, or the node is gone."""
    task: float = 120.0
    """The answer to one long poll; the agent API answers 204 well before."""
    idle: float = 120.0
    """Time without any answer to an idle pod's polls, after which the pod ends because nothing can claim it."""
    acknowledgement: float = 10.0
    """The answer to an end record, which is stored before it is acknowledged."""
    first_backoff: float = 0.05
    longest_backoff: float = 1.0
    model_backoff: float = 0.5
    """Pause before a call of the model is repeated, which doubles each time; a random half of it is left out."""
    model_retry_after: float = 30.0
    """Longest pause that a model server's Retry-After may ask for; a longer one ends the attempts at that server."""
    delivery_grace: float = 30.0
    """Delivery of the end record beyond the run's deadline."""
    shutdown_grace: float = 3.0
    """Delivery of the end record after SIGTERM."""
    idle_exit_delay: float = 5.0
    """Delay of the exit of a pod that was idle, after its run: removing a pod costs a node more than a warm run does, and the
    other runs of a burst go first."""


def _first_of(files: Iterable[StrPath]) -> str | None:
    """Read the first of these files that exists; None if none does, or it is empty."""
    file = next((file for file in files if os.path.isfile(file)), None)  # noqa: PTH113 - see _read
    return _read(file) or None if file else None


def _read(name: StrPath) -> str:
    # What is no text cannot be sent as a header, which is then an error that names it.
    with open(name, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - the import of pathlib costs 8 ms
        return file.read().strip()


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip(" ,")
    if not value:
        raise SystemExit(f"{name} is not set")
    return value

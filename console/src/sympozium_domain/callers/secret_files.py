"""Secrets of the console in files of a mounted folder, read again while the process runs, so that they can be replaced."""

from collections.abc import Callable
from pathlib import Path

import structlog

from sympozium_http.bearer_keys import content

log = structlog.get_logger()

_REREAD_SECONDS = 2.0
LEAST_BYTES = 32


class SecretFiles:
    """Secrets of one purpose: the files whose names begin with ``name``, and the variable of that name, which comes first.

    The first makes what is new, and all of them verify. Secrets of fewer than ``least_bytes`` bytes are not used.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        variable: str = "",
        clock: Callable[[], float],
        least_bytes: int = LEAST_BYTES,
    ) -> None:
        self._folder = folder
        self._name = name
        self._variable = variable.encode()
        self._clock = clock
        self._least_bytes = least_bytes
        self._read_at = float("-inf")
        self._secrets: tuple[bytes, ...] = ()
        self._refused: set[str] = set()

    def current(self) -> tuple[bytes, ...]:
        """Return the secrets, in order."""
        now = self._clock()
        if now - self._read_at >= _REREAD_SECONDS:
            found = {f"{self._name} (variable)": self._variable} if self._variable else {}
            found |= {file.name: content(file) for file in sorted(self._folder.glob(f"{self._name}*"))}
            secrets = tuple(secret for secret in found.values() if len(secret) >= self._least_bytes)
            self._log({name for name, secret in found.items() if len(secret) < self._least_bytes}, len(secrets))
            self._secrets, self._read_at = secrets, now
        return self._secrets

    def _log(self, refused: set[str], number: int) -> None:
        if refused - self._refused:
            log.warning("secrets are too short and not used", names=sorted(refused), least_bytes=self._least_bytes)
        self._refused = refused
        if number != len(self._secrets):
            log.info("secrets changed", name=self._name, valid=number)

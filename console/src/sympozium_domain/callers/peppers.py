"""Peppers: the secrets without which no digest of an API key can be made. Files, read again while the process runs."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import structlog

from sympozium_api import environment
from sympozium_http.bearer_keys import content

log = structlog.get_logger()

_REREAD_SECONDS = 2.0
_MIN_BYTES = 32


class Peppers:
    """Peppers of a folder: its files whose names begin with ``API_KEY_PEPPER``, and the variable of that name, which comes first.

    The first pepper makes the digests of new keys, and all of them verify.
    """

    def __init__(self, folder: Path, *, variable: str = "", clock: Callable[[], float]) -> None:
        self._folder = folder
        self._variable = variable.encode()
        self._clock = clock
        self._read_at = float("-inf")
        self._peppers: tuple[bytes, ...] = ()
        self._refused: set[str] = set()

    def digests(self, key: str) -> list[str]:
        """Return the digests that a key may have, hexadecimal, that of a new key first; empty if there is no pepper."""
        secret = key.encode()
        return [hmac.new(pepper, secret, hashlib.sha256).hexdigest() for pepper in self._current()]

    @property
    def are_there(self) -> bool:
        """Return True if there is a pepper, so that API keys can be verified."""
        return bool(self._current())

    def _current(self) -> tuple[bytes, ...]:
        now = self._clock()
        if now - self._read_at >= _REREAD_SECONDS:
            found = {environment.API_KEY_PEPPER + " (variable)": self._variable} if self._variable else {}
            found |= {file.name: content(file) for file in sorted(self._folder.glob(f"{environment.API_KEY_PEPPER}*"))}
            peppers = tuple(pepper for pepper in found.values() if len(pepper) >= _MIN_BYTES)
            self._log({name for name, pepper in found.items() if len(pepper) < _MIN_BYTES}, len(peppers))
            self._peppers, self._read_at = peppers, now
        return self._peppers

    def _log(self, refused: set[str], number: int) -> None:
        if refused - self._refused:
            log.warning("peppers are too short and not used", names=sorted(refused), least_bytes=_MIN_BYTES)
        self._refused = refused
        if number != len(self._peppers):
            log.info("peppers changed", valid=number)

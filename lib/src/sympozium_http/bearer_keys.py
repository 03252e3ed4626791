"""Bearer keys: the files of a mounted Secret, read again while the process runs, so that rotation needs no restart (rule 4)."""

import contextlib
import hashlib
import hmac
from collections.abc import Callable, Collection
from pathlib import Path

import structlog

log = structlog.get_logger()

_REREAD_SECONDS = 2.0
"""The kubelet takes up to a minute to bring a changed Secret; this adds little to it and costs one small directory."""


class BearerKeys:
    """The valid keys of a server: every file of a folder whose name begins with ``prefix``; the name is the key's id."""

    def __init__(self, folder: Path, *, prefix: str, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._prefix = prefix
        self._clock = clock
        self._read_at = float("-inf")
        self._digests: dict[str, bytes] = {}

    def identify(self, authorization: str | None) -> str | None:
        """The id of the key in an Authorization header, or None when it is not valid.

        Digests are compared, each in constant time and all of them, so that the time taken tells nothing.
        """
        key = bearer(authorization)
        if key is None:
            return None
        digest, found = _digest(key.encode("latin-1")), None
        for key_id, valid in self._current().items():
            if hmac.compare_digest(digest, valid):
                found = key_id
        return found

    def digest(self, key_id: str) -> bytes | None:
        """The SHA-256 of a valid key; None where there is none of that id."""
        return self._current().get(key_id)

    @property
    def ids(self) -> Collection[str]:
        """The ids of all valid keys."""
        return self._current().keys()

    def _current(self) -> dict[str, bytes]:
        now = self._clock()
        if now - self._read_at >= _REREAD_SECONDS:
            contents = {file.name: _content(file) for file in self._folder.glob(f"{self._prefix}*")}
            digests = {key_id: _digest(key) for key_id, key in contents.items() if key}
            if digests != self._digests:
                log.info("keys changed", valid=sorted(digests))
            self._digests, self._read_at = digests, now
        return self._digests


def bearer(authorization: str | None) -> str | None:
    """What an Authorization header of the scheme Bearer carries, if it is one."""
    scheme, _, credentials = (authorization or "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


def _content(file: Path) -> bytes:
    """What a file holds; nothing when it has gone. The kubelet swaps the folder behind all files: one that stays may miss once."""
    for _ in range(2):
        with contextlib.suppress(FileNotFoundError):
            return file.read_bytes().strip()
    return b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()

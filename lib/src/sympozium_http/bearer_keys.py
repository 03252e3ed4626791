"""Bearer keys: files of a mounted Secret, reread while the process runs, so that rotation needs no restart (rule 4)."""

import contextlib
import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import structlog

log = structlog.get_logger()

_REREAD_SECONDS = 2.0
"""Time between two reads. The kubelet takes up to a minute to update a mounted Secret; this adds little."""

_MOST_FORMER = 100
"""Keys that are remembered after they were removed, to name them where they are still used."""


class BearerKeys:
    """The valid keys of a server: the files of a folder whose names begin with ``prefix``. A file's name is its key's id."""

    def __init__(self, folder: Path, *, prefix: str, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._prefix = prefix
        self._clock = clock
        self._read_at = float("-inf")
        self._digests: dict[str, bytes] = {}
        self._former: dict[str, bytes] = {}

    def identify(self, authorization: str | None) -> str | None:
        """Return the id of the key in an Authorization header, or None when the key is not valid.

        All digests are compared, each in constant time, so that the duration reveals nothing about the keys.
        """
        return _matching(authorization, self._current())

    def identify_former(self, authorization: str | None) -> str | None:
        """Return the id of a key that was valid since this process has started and is not any more; None for any other."""
        return _matching(authorization, self._former)

    def digest(self, key_id: str) -> bytes | None:
        """Return the SHA-256 of the key with this id, or None where there is none."""
        return self._current().get(key_id)

    @property
    def ids(self) -> Collection[str]:
        """The ids of all valid keys."""
        return self._current().keys()

    def _current(self) -> dict[str, bytes]:
        now = self._clock()
        if now - self._read_at >= _REREAD_SECONDS:
            contents = {file.name: content(file) for file in self._folder.glob(f"{self._prefix}*")}
            digests = {key_id: _digest(key) for key_id, key in contents.items() if key}
            if digests != self._digests:
                log.info("keys changed", valid=sorted(digests))
                former = {**self._former, **{i: d for i, d in self._digests.items() if d not in digests.values()}}
                self._former = dict(list(former.items())[-_MOST_FORMER:])
            self._digests, self._read_at = digests, now
        return self._digests


def _matching(authorization: str | None, digests: Mapping[str, bytes]) -> str | None:
    key = bearer(authorization)
    if key is None:
        return None
    digest, matching = _digest(key.encode("latin-1")), None
    for key_id, valid in digests.items():
        if hmac.compare_digest(digest, valid):
            matching = key_id
    return matching


def bearer(authorization: str | None) -> str | None:
    """Return the credentials of an Authorization header of the scheme Bearer, or None."""
    scheme, _, credentials = (authorization or "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


def content(file: Path) -> bytes:
    """Return the content of a mounted Secret's file, or nothing when it is gone.

    A read may fail once while the kubelet swaps the folder behind all files.
    """
    for _ in range(2):
        with contextlib.suppress(FileNotFoundError):
            return file.read_bytes().strip()
    return b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()

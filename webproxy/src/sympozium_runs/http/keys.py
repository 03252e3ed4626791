"""Bearer keys: the files of a mounted Secret, read again while the process runs, so that rotation needs no restart (rule 4)."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

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
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return None
        digest, found = _digest(key.strip()), None
        for key_id, valid in self._current().items():
            if hmac.compare_digest(digest, valid):
                found = key_id
        return found

    def _current(self) -> dict[str, bytes]:
        now = self._clock()
        if now - self._read_at >= _REREAD_SECONDS:
            contents = {file.name: file.read_text().strip() for file in self._folder.glob(f"{self._prefix}*")}
            self._digests = {key_id: _digest(key) for key_id, key in contents.items() if key}
            self._read_at = now
        return self._digests


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()

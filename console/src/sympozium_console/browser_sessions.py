"""Sessions of browsers: an encrypted cookie that refers to the credential which its user has signed in with.

The cookie has no credential in it, only a CredentialReference, and it is judged by the authenticator at each request. So a session is
over with its credential, and in any case eight hours after the sign-in. Nothing is stored on the server (decision 0080).
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from sympozium_api import environment
from sympozium_api.clock import Clock
from sympozium_domain.callers.caller import Subject
from sympozium_domain.callers.credential_reference import CredentialReference
from sympozium_http.bearer_keys import content

log = structlog.get_logger()

SESSION_SECONDS = 8 * 3600
"""Seconds from the sign-in to the end of its session, whatever happens in between."""
MOST_BYTES = 3800
"""Bytes of a cookie's value: browsers keep 4096 with its name and attributes."""
_REREAD_SECONDS = 2.0


class NoCookieKeys(Exception):
    """The Secret of the console has no keys of cookies."""


class CookieTooLarge(Exception):
    """The user has so many groups that the session does not fit into a cookie."""


@dataclass(frozen=True)
class BrowserSession:
    """Content of a valid cookie."""

    reference: CredentialReference


class CookieKeys:
    """Keys of Fernet, the files ``COOKIE_KEY_1`` and ``COOKIE_KEY_2`` of a folder, read again while the process runs."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._read_at = float("-inf")
        self._keys: tuple[bytes, ...] = ()
        self._fernet: MultiFernet | None = None

    def fernet(self) -> MultiFernet:
        """Return the keys: the first encrypts, all decrypt. Raises NoCookieKeys."""
        now = self._clock()
        if now - self._read_at >= _REREAD_SECONDS:
            self._take(tuple(filter(None, (content(self._folder / name) for name in environment.COOKIE_KEYS))))
            self._read_at = now
        if self._fernet is None:
            raise NoCookieKeys
        return self._fernet

    def _take(self, keys: tuple[bytes, ...]) -> None:
        if keys == self._keys:
            return
        self._keys, valid = keys, []
        for key in keys:
            try:
                valid.append(Fernet(key))
            except ValueError:
                log.warning("a key of cookies is not 32 bytes in URL-safe base64, and not used")
        self._fernet = MultiFernet(valid) if valid else None
        log.info("keys of cookies changed", valid=len(valid))


class BrowserSessions:
    """The cookies of one installation."""

    def __init__(self, keys: CookieKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    def cookie(self, reference: CredentialReference) -> str:
        """Return the value of a new session's cookie. Raises NoCookieKeys and CookieTooLarge."""
        written = {name: value for name, value in asdict(reference).items() if value not in (None, "")}
        return self.sealed(written)

    def read(self, value: str) -> BrowserSession | None:
        """Return the session of a cookie; None if this console has not made it, or it has ended. Raises NoCookieKeys."""
        written = self.opened(value, SESSION_SECONDS)
        if written is None:
            return None
        try:
            reference = _reference(written)
        except (AttributeError, KeyError, TypeError):  # another version's, or no session's
            return None
        if reference.expires_at is not None and self._clock.now().timestamp() >= reference.expires_at:
            return None
        return BrowserSession(reference)

    def sealed(self, written: Mapping[str, Any]) -> str:
        """Return the value of a cookie that only this installation reads. Raises NoCookieKeys and CookieTooLarge."""
        packed = zlib.compress(json.dumps(written, separators=(",", ":")).encode(), 9)
        value = self._keys.fernet().encrypt_at_time(packed, int(self._clock.now().timestamp())).decode()
        if len(value) > MOST_BYTES:
            raise CookieTooLarge
        return value

    def opened(self, value: str, seconds: int) -> dict[str, Any] | None:
        """Return what ``sealed`` was given at most so many seconds ago; None for any other value. Raises NoCookieKeys."""
        now, fernet = self._clock.now().timestamp(), self._keys.fernet()
        try:
            packed = fernet.decrypt_at_time(value.encode(errors="replace"), seconds, int(now))
        except InvalidToken:
            return None
        written = json.loads(zlib.decompress(packed))
        return written if isinstance(written, dict) else None


def _reference(written: dict[str, Any]) -> CredentialReference:
    subject = written.pop("subject", None)
    return CredentialReference(**written, subject=subject and Subject(subject["user"], tuple(subject["groups"])))

"""The check of API keys."""

import asyncio
import hmac
import re
import secrets
from collections.abc import Callable, Sequence

from sympozium_api.clock import Clock
from sympozium_domain.callers.caller import Caller
from sympozium_domain.callers.credential_reference import CredentialReference
from sympozium_domain.callers.credentials import NotJudged, Unauthenticated
from sympozium_domain.callers.key_record import KeyRecord
from sympozium_domain.callers.key_store import KeyStore
from sympozium_domain.callers.peppers import Peppers

_KEY = re.compile(r"sym_[0-9a-f]{64}")
PREFIX_CHARACTERS = 12
"""Characters of a key that may be shown: ``sym_`` and 32 of its 256 bits."""

NEW_KEY_SECONDS = 1.0
"""Seconds for which the first request with an unknown key waits, because another replica may have made the key a moment ago."""
_MOST_WAITING = 50
"""Requests that wait so at a time; the others are refused at once."""
UNKNOWN_SECONDS = 10.0
"""Seconds for which an unknown key is refused without waiting, unless it appears."""
MOST_UNKNOWN = 10_000
_RETRY_SECONDS = 1

NO_PEPPER = (
    "API keys are off: no file API_KEY_PEPPER of the Secret sympozium-console-keys has a pepper of 32 bytes or more"
)


def new_key() -> str:
    """Return a new key."""
    return f"sym_{secrets.token_hex(32)}"


class UnknownKeys:
    """Digests that no key has, each for ten seconds, the latest 10,000."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def __contains__(self, digest: str) -> bool:
        return self._until.get(digest, float("-inf")) > self._clock()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, digest: str) -> None:
        """Remember a digest."""
        self._until.pop(digest, None)
        while len(self._until) >= MOST_UNKNOWN:
            del self._until[next(iter(self._until))]
        self._until[digest] = self._clock() + UNKNOWN_SECONDS


class ApiKeyCheck:
    """Judge of API keys: by digest, in constant time, and by the clock. ``on_use`` is called with the UID of each key that is valid."""

    def __init__(
        self, store: KeyStore, peppers: Peppers, clock: Clock, on_use: Callable[[str], None] = lambda _: None
    ) -> None:
        self._store = store
        self._peppers = peppers
        self._clock = clock
        self._on_use = on_use
        self._unknown = UnknownKeys(clock.monotonic)
        self._waiting = 0

    async def caller(self, key: str) -> Caller | None:
        """Return the caller of a key, None for an unknown one. Raises Unauthenticated and NotJudged."""
        digests = self._peppers.digests(key)
        return self._caller(self._find(digests) or await self._awaited(key, digests))

    async def referred(self, reference: CredentialReference) -> Caller | None:
        """Return the caller of the key that a session began with, as ``caller`` does; None for a key that is gone."""
        if not self._store.is_whole:
            raise NotJudged("the API keys are not read yet", retry_after=_RETRY_SECONDS)
        return self._caller(self._store.by_id(reference.namespace or "", reference.id))

    def _caller(self, record: KeyRecord | None) -> Caller | None:
        if record is None:
            return None
        if record.revoked:
            raise Unauthenticated("The key is revoked.", record.id, namespace=record.namespace)
        if record.is_expired(self._clock.now().timestamp()):
            raise Unauthenticated("The key has expired.", record.id, namespace=record.namespace)
        self._on_use(record.uid)
        return Caller(
            record.user,
            record.id,
            frozenset(record.scopes),
            namespace=record.namespace,
            expires_at=record.expires_at,
        )

    def _find(self, digests: Sequence[str]) -> KeyRecord | None:
        for digest in digests:
            record = self._store.find(digest)
            if record is not None and hmac.compare_digest(record.digest, digest):
                return record
        return None

    async def _awaited(self, key: str, digests: Sequence[str]) -> KeyRecord | None:
        """Return a key that appears within a second, None if none does. Only texts that may be keys are waited for."""
        if not _KEY.fullmatch(key):
            return None
        if not digests:
            raise Unauthenticated(NO_PEPPER)
        if self._store.is_whole and (digests[0] in self._unknown or self._waiting >= _MOST_WAITING):
            return None
        self._waiting += 1
        try:
            async with asyncio.timeout(NEW_KEY_SECONDS):
                await self._store.appears(digests)
        except TimeoutError:
            if not self._store.is_whole:
                raise NotJudged("the API keys are not read yet", retry_after=_RETRY_SECONDS) from None
            self._unknown.add(digests[0])
            return None
        finally:
            self._waiting -= 1
        return self._find(digests)

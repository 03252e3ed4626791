"""Creation and revocation of API keys."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sympozium_api import names
from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.resources import API_KEYS
from sympozium_api.timestamps import timestamp
from sympozium_domain.callers import scope_rights
from sympozium_domain.callers.caller import MAX_USER, Caller
from sympozium_domain.callers.key_check import NO_PEPPER, PREFIX_CHARACTERS, new_key
from sympozium_domain.callers.key_record import KeyRecord, key_record
from sympozium_domain.callers.key_store import KeyStore
from sympozium_domain.callers.peppers import Peppers

_DIGEST_DIGITS = 32
MOST_KEYS = 10_000
"""Keys of a namespace, revoked ones too, beyond which a key makes no other: each has a place in every console, and limits of its own."""


class NoPepper(Exception):
    """Lack of a pepper, without which no key can be made."""

    def __init__(self) -> None:
        super().__init__(NO_PEPPER)


class MoreThanHeld(Exception):
    """A new key that may do more than the key that makes it; ``field`` is at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class TooManyKeys(Exception):
    """A namespace that has as many keys as keys may make."""

    def __init__(self) -> None:
        super().__init__(f"the namespace has {MOST_KEYS} API keys; delete APIKeys that are revoked or not used")


@dataclass(frozen=True)
class NewKey:
    """The wish for a key."""

    name: str
    user: str
    scopes: Sequence[str]
    expires_in: int | None = None
    """Seconds until the key expires; None: at ``expires_at``."""
    expires_at: float | None = None
    """Time at which the key expires, in seconds since 1970; None: never."""

    def expiry(self, now: datetime) -> datetime | None:
        """Return the time at which a key expires that is made now; None: never."""
        if self.expires_in is not None:
            return now + timedelta(seconds=self.expires_in)
        return None if self.expires_at is None else datetime.fromtimestamp(self.expires_at, UTC)


class KeyIssuing:
    """Maker of keys. Every method raises ApiError and ApiUnavailable."""

    def __init__(self, client: Client, store: KeyStore, peppers: Peppers, clock: Clock) -> None:
        self._client = client
        self._store = store
        self._peppers = peppers
        self._clock = clock

    async def create(
        self, caller: Caller, namespace: str, wish: NewKey, *, key_id: str | None = None
    ) -> tuple[KeyRecord, str]:
        """Create a key; return it, and its text, which is stored nowhere. ``key_id`` is its id, a UUID; None: a new one.

        Raises NoPepper, MoreThanHeld, and TooManyKeys if the caller has a key itself.
        """
        key = new_key()
        if not self._peppers.are_there:
            raise NoPepper
        digest = self._peppers.digests(key)[0]
        expires = wish.expiry(self._clock.now())
        if caller.namespace is not None:
            check_held(caller, wish, None if expires is None else expires.timestamp())
            if self._store.count(namespace) >= MOST_KEYS:
                raise TooManyKeys
        spec = {
            "name": wish.name,
            "digest": digest,
            "prefix": key[:PREFIX_CHARACTERS],
            "user": wish.user,
            "scopes": list(wish.scopes),
            "createdBy": caller.user[:MAX_USER],
        }
        body = {
            "apiVersion": API_KEYS.api_version,
            "kind": API_KEYS.kind,
            "metadata": {
                "name": f"key-{digest[:_DIGEST_DIGITS]}",
                "labels": {names.LABEL_ID: key_id or str(uuid.uuid4())},
            },
            "spec": spec | ({"expiresAt": timestamp(expires)} if expires else {}),
        }
        record = key_record(await self._client.create(API_KEYS, namespace, body))
        self._store.put(record)
        return record, key

    async def revoke(self, namespace: str, key_id: str) -> bool:
        """Revoke a key by its id; return False if the namespace has none."""
        record = await self.find(namespace, key_id)
        if record is None:
            return False
        if record.revoked:
            return True
        now = {names.ANNOTATION_REVOKED_AT: timestamp(self._clock.now())}
        body = {"metadata": {"uid": record.uid, "annotations": now}, "spec": {"revoked": True}}
        self._store.put(key_record(await self._client.patch(API_KEYS, namespace, record.object_name, body)))
        return True

    async def find(self, namespace: str, key_id: str) -> KeyRecord | None:
        """Return a key by its id, which another replica may have made a moment ago; None if the namespace has none."""
        if record := self._store.by_id(namespace, key_id):
            return record
        found = await self._client.list(API_KEYS, namespace, labelSelector=f"{names.LABEL_ID}={key_id}")
        return key_record(found[0]) if found else None


def check_held(caller: Caller, wish: NewKey, expires_at: float | None) -> None:
    """Raise MoreThanHeld unless a key may do all that the new one shall: its scopes, for its user, no longer."""
    if more := sorted(set(wish.scopes) - scope_rights.held(caller.scopes)):
        raise MoreThanHeld("scopes", f"the key that makes this one does not have {', '.join(more)}")
    if wish.user != caller.user:
        raise MoreThanHeld("user", f"a key makes keys of its own user only: {caller.user}")
    if caller.expires_at is not None and (expires_at is None or expires_at > caller.expires_at):
        raise MoreThanHeld("expires_in", "the key that makes this one expires earlier")

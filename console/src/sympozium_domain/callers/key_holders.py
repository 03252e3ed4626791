"""The holders of keys that tokens name, as the keys stand now."""

from collections.abc import Callable

from sympozium_api.client import Client
from sympozium_api.clock import Clock
from sympozium_api.names import LABEL_ID, STATIC_KEY_CALLERS, is_uuid
from sympozium_api.resources import API_KEYS
from sympozium_domain.callers.caller import Caller
from sympozium_domain.callers.credentials import NotJudged, Unauthenticated
from sympozium_domain.callers.key_check import UnknownKeys
from sympozium_domain.callers.key_record import KeyRecord, key_record
from sympozium_domain.callers.key_store import KeyStore
from sympozium_domain.callers.static_keys import StaticKeys

_RETRY_SECONDS = 1


class KeyHolders:
    """Reader of the keys by their ids. ``on_use`` is called with the UID of each APIKey that is valid."""

    def __init__(
        self,
        client: Client,
        store: KeyStore,
        clock: Clock,
        *,
        static_keys: StaticKeys | None = None,
        on_use: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._static_keys = static_keys
        self._on_use = on_use
        self._unknown = UnknownKeys(clock.monotonic)

    async def holder(self, namespace: str, key_id: str) -> Caller | None:
        """Return the holder of a key of a namespace; None if there is no such key.

        Raises Unauthenticated for a key that is revoked or has expired, NotJudged, ApiError and ApiUnavailable.
        """
        if key_id.startswith(f"{STATIC_KEY_CALLERS}/"):
            return await self._static_keys.holder(namespace, key_id) if self._static_keys else None
        if not self._store.is_whole:
            raise NotJudged("the API keys are not read yet", retry_after=_RETRY_SECONDS)
        record = self._store.by_id(namespace, key_id) or await self._read(namespace, key_id)
        if record is None:
            return None
        if record.revoked:
            raise Unauthenticated("The key of the token is revoked.", record.id, namespace=record.namespace)
        if record.is_expired(self._clock.now().timestamp()):
            raise Unauthenticated("The key of the token has expired.", record.id, namespace=record.namespace)
        self._on_use(record.uid)
        return Caller(
            record.user, record.id, frozenset(record.scopes), namespace=namespace, expires_at=record.expires_at
        )

    async def _read(self, namespace: str, key_id: str) -> KeyRecord | None:
        """Return a key that another replica may have made a moment ago. An id that no key has is not looked up again for a while."""
        mark = f"{namespace}/{key_id}"
        if not is_uuid(key_id) or mark in self._unknown:
            return None
        found = await self._client.list(API_KEYS, namespace, labelSelector=f"{LABEL_ID}={key_id}")
        if not found:
            self._unknown.add(mark)
            return None
        record = key_record(found[0])
        self._store.put(record)
        return record

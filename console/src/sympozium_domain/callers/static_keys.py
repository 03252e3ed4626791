"""Keys of the variable AUTH_API_KEYS, or of the file that it names, beside those that are objects."""

import asyncio
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sympozium_api.api_key import Scope
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_api.clock import Clock
from sympozium_api.names import STATIC_KEY_CALLERS
from sympozium_domain.callers.caller import MAX_USER, Caller
from sympozium_domain.callers.credential_reference import CredentialReference, fingerprint, is_of
from sympozium_domain.callers.namespaces import Namespaces

log = structlog.get_logger()

_REREAD_SECONDS = 2.0
_SOURCE = STATIC_KEY_CALLERS


class StaticKey(BaseModel):
    """User and scopes of a key."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tenant_id: Annotated[str, Field(min_length=1, max_length=253)]
    user_id: Annotated[str, Field(min_length=1, max_length=MAX_USER)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]


@dataclass(frozen=True)
class _File:
    """State of a file by which a change of it is seen."""

    modified: int
    size: int
    inode: int


class StaticKeys:
    """The keys of a JSON object: key -> ``tenant_id``, ``user_id``, ``scopes``. ``source`` is the object itself, or a file's path.

    The file is read again when it changes; if it cannot be read, the former keys stay. Keys are kept as digests only.
    """

    def __init__(self, source: str, namespaces: Namespaces, clock: Clock) -> None:
        self._text = source if source.lstrip().startswith("{") else None
        self._file = Path(source)
        self._namespaces = namespaces
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._keys: dict[bytes, StaticKey] = {}
        self._fingerprints: dict[bytes, str] = {}
        """Fingerprints of the keys for sessions, which outlive this process, by the digest."""
        self._state: _File | None = None
        self._read_at = float("-inf")
        self._is_reported = True
        if self._text is not None:
            self._take(self._text)

    async def caller(self, key: str) -> Caller | None:
        """Return the caller of a key; None for an unknown key, and for a key of a tenant that is not there. Raises ApiError and
        ApiUnavailable.
        """
        self._refresh()
        return await self._caller(self._keys.get(self._digest(key)))

    async def referred(self, reference: CredentialReference) -> Caller | None:
        """Return the caller of the key that a session began with, as ``caller`` does; None for a key that is gone."""
        self._refresh()
        found = [key for key, digest in self._fingerprints.items() if is_of(reference, digest)]
        return await self._caller(self._keys.get(found[0])) if found else None

    async def holder(self, namespace: str, key_id: str) -> Caller | None:
        """Return the holder of a key by the key's id, as ``caller`` does. Of several keys of a user in a namespace the scopes add up."""
        self._refresh()
        named = [key for key in self._keys.values() if f"{_SOURCE}/{key.user_id}" == key_id]
        found = [caller for key in named if (caller := await self._caller(key)) and caller.namespace == namespace]
        scopes = frozenset[str]().union(*(caller.scopes for caller in found))
        return replace(found[0], scopes=scopes) if found else None

    async def _caller(self, found: StaticKey | None) -> Caller | None:
        if found is None:
            return None
        namespace = await self._namespaces.of_tenant(found.tenant_id)
        if namespace is None:
            _log_refused(found)
            return None
        return Caller(found.user_id, f"{_SOURCE}/{found.user_id}", frozenset(found.scopes), namespace=namespace)

    async def run(self) -> None:
        """Log the keys of tenants that are not there, whenever the keys have changed, without end."""
        while True:
            self._refresh()
            if not self._is_reported:
                await self._report()
            await asyncio.sleep(_REREAD_SECONDS)

    async def _report(self) -> None:
        try:
            for key in self._keys.values():
                if await self._namespaces.of_tenant(key.tenant_id) is None:
                    _log_refused(key)
        except (ApiError, ApiUnavailable):
            return
        self._is_reported = True

    def _digest(self, key: str) -> bytes:
        return hmac.digest(self._secret, key.encode(errors="surrogatepass"), hashlib.sha256)

    def _refresh(self) -> None:
        now = self._clock.monotonic()
        if self._text is not None or now - self._read_at < _REREAD_SECONDS:
            return
        self._read_at = now
        try:
            stat = self._file.stat()
            state = _File(stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if state != self._state:
                self._take(self._file.read_text(encoding="utf-8"))
                self._state = state
        except (OSError, UnicodeDecodeError) as error:
            log.warning("the file of keys cannot be read", variable=_SOURCE, reason=type(error).__name__)

    def _take(self, text: str) -> None:
        """Replace the keys by those of a text. Neither a key nor what is wrong in the text is logged."""
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError):
            entries = None
        if not isinstance(entries, dict):
            log.warning("the keys are not a JSON object, the former ones stay", variable=_SOURCE)
            return
        keys, fingerprints = {}, {}
        for number, (key, entry) in enumerate(entries.items()):
            try:
                digest = self._digest(key.strip())
                keys[digest] = StaticKey.model_validate(entry)
                fingerprints[digest] = fingerprint(key.strip())
            except ValidationError as error:
                fields = sorted({".".join(map(str, one["loc"])) for one in error.errors(include_input=False)})
                log.warning("a key is refused: its entry is not valid", variable=_SOURCE, entry=number, fields=fields)
        keys.pop(self._digest(""), None)
        self._keys, self._fingerprints, self._is_reported = keys, fingerprints, False
        log.info("keys changed", variable=_SOURCE, valid=len(keys))


def _log_refused(key: StaticKey) -> None:
    log.warning("a key is refused: its tenant is not there", variable=_SOURCE, tenant=key.tenant_id, user=key.user_id)

"""API keys as a process holds them: thousands, so each is small."""

from dataclasses import dataclass

from sympozium_api.api_key import APIKey
from sympozium_api.names import LABEL_ID
from sympozium_api.resources import Object
from sympozium_api.timestamps import parse_timestamp


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What an APIKey says. Times are seconds since 1970."""

    uid: str
    id: str
    """Id for callers: the object's label, else its UID."""
    namespace: str
    object_name: str
    name: str
    digest: str
    prefix: str | None
    user: str
    scopes: tuple[str, ...]
    expires_at: float | None
    created_by: str | None
    created_at: float
    revoked: bool

    def is_expired(self, now: float) -> bool:
        """Return True from the key's expiry on."""
        return self.expires_at is not None and now >= self.expires_at


def key_record(body: Object) -> KeyRecord:
    """Return the record of an APIKey."""
    key = APIKey.model_validate(body)
    spec, metadata = key.spec, key.metadata
    return KeyRecord(
        uid=metadata.uid,
        id=metadata.labels.get(LABEL_ID) or metadata.uid,
        namespace=metadata.namespace,
        object_name=metadata.name,
        name=spec.name,
        digest=spec.digest,
        prefix=spec.prefix,
        user=spec.user,
        scopes=tuple(spec.scopes),
        expires_at=parse_timestamp(spec.expires_at).timestamp() if spec.expires_at else None,
        created_by=spec.created_by,
        created_at=metadata.created.timestamp(),
        revoked=spec.revoked,
    )

"""API keys as a process holds them: thousands, so each is small."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sympozium_api.api_key import APIKey
from sympozium_api.names import ANNOTATION_REVOKED_AT, LABEL_ID, is_uuid
from sympozium_api.resources import Object
from sympozium_api.timestamps import parse_timestamp

_FIRST = datetime.min.replace(tzinfo=UTC).timestamp()
_LAST = datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp()
"""Bounds of the times that can be shown. A time of day west of Greenwich may lie beyond, and Kubernetes accepts it."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """Content of an APIKey. Times are seconds since 1970."""

    uid: str
    id: str
    """Id for callers: the object's label if that is a UUID, else its UID. Whoever may write labels must not choose another caller's id."""
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
    revoked_at: float | None = None
    """Time of the revocation; of one by another way than the console the time of the last change that Kubernetes knows."""

    def is_expired(self, now: float) -> bool:
        """Return True from the key's expiry on."""
        return self.expires_at is not None and now >= self.expires_at


def key_record(body: Object) -> KeyRecord:
    """Return the record of an APIKey."""
    key = APIKey.model_validate(body)
    spec, metadata = key.spec, key.metadata
    return KeyRecord(
        uid=metadata.uid,
        id=label if is_uuid(label := metadata.labels.get(LABEL_ID, "")) else metadata.uid,
        namespace=metadata.namespace,
        object_name=metadata.name,
        name=spec.name,
        digest=spec.digest,
        prefix=spec.prefix,
        user=spec.user,
        scopes=tuple(spec.scopes),
        expires_at=_shown(datetime.fromisoformat(spec.expires_at)) if spec.expires_at else None,
        created_by=spec.created_by,
        created_at=metadata.created.timestamp(),
        revoked=spec.revoked,
        revoked_at=_revoked_at(body) if spec.revoked else None,
    )


def _revoked_at(body: Object) -> float | None:
    metadata = body["metadata"]
    changes = [entry["time"] for entry in metadata.get("managedFields", []) if "time" in entry]
    text = metadata.get("annotations", {}).get(ANNOTATION_REVOKED_AT) or max(changes, default=None)
    try:
        return None if text is None else _shown(parse_timestamp(text))
    except ValueError:  # of somebody who may write annotations
        return None


def _shown(moment: datetime) -> float:
    return min(max(moment.timestamp(), _FIRST), _LAST)

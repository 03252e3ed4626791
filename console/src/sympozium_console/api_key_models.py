"""Bodies and answers about API keys."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from sympozium_api.api_key import SCOPES, Scope
from sympozium_api.base import ApiModel
from sympozium_archive.times import moment_if_known
from sympozium_console.refusals import MOST_FIELDS, InvalidFields
from sympozium_domain.callers.caller import MAX_USER
from sympozium_domain.callers.key_issuing import NewKey
from sympozium_domain.callers.key_record import KeyRecord

_LONGEST_SECONDS = 10 * 366 * 86_400


def _text(longest: int) -> Any:
    """Return the constraints of a text that is not blank; spaces around it are left out."""
    return StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=longest)


class NewKeyBody(BaseModel):
    """Wish for an API key."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, _text(100)]
    """Name for people."""
    user: Annotated[str, _text(MAX_USER)]
    """User whom the key's requests are made for."""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))]
    expires_in: Annotated[int, Field(strict=True, ge=1, le=_LONGEST_SECONDS)] | None = None
    """Seconds until the key expires; null: never."""

    @classmethod
    def parsed(cls, body: dict[str, Any]) -> NewKey:
        """Return the wish in a body. Raises Refusal 400, which names the fields at fault."""
        try:
            wish = cls.model_validate(body)
        except ValidationError as error:
            faults = error.errors(include_input=False)[:MOST_FIELDS]
            fields = [(".".join(map(str, one["loc"])), str(one["msg"])) for one in faults]
            message = "; ".join(f"{field}: {fault}" for field, fault in fields)
            raise InvalidFields(400, "BadRequest", message, fields) from error
        return NewKey(wish.name, wish.user, list(dict.fromkeys(wish.scopes)), wish.expires_in)


class ApiKeyAnswer(ApiModel):
    """An API key without its text."""

    id: str
    namespace: str
    name: str
    prefix: str | None
    """First characters of the key."""
    user: str
    scopes: list[str]
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    """Null: never."""
    revoked: bool
    last_used_at: datetime | None
    """Within a minute; null if it is not known: without an archive, or while its database is away."""

    @classmethod
    def of_record(cls, record: KeyRecord, last_use: int | None = None, **more: Any) -> Self:
        """Return the answer for a key, with its last use in microseconds since 1970."""
        return cls(
            id=record.id,
            namespace=record.namespace,
            name=record.name,
            prefix=record.prefix,
            user=record.user,
            scopes=list(record.scopes),
            created_at=datetime.fromtimestamp(record.created_at, UTC),
            created_by=record.created_by,
            expires_at=None if record.expires_at is None else datetime.fromtimestamp(record.expires_at, UTC),
            revoked=record.revoked,
            last_used_at=moment_if_known(last_use),
            **more,
        )


class NewApiKeyAnswer(ApiKeyAnswer):
    """An API key that was just created."""

    key: str
    """The key itself, which is stored nowhere and shown this once."""


class ApiKeyList(ApiModel):
    """API keys, by namespace and age."""

    items: list[ApiKeyAnswer]

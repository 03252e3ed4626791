"""API keys of the caller."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from sympozium_domain.callers.key_issuing import MoreThanHeld, NewKey, NoPepper, TooManyKeys, check_held
from sympozium_domain.callers.key_record import KeyRecord
from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_platform import errors, parsing, platform_context
from sympozium_platform.access import Reader, Writer
from sympozium_platform.audited import begin_change
from sympozium_platform.lists import ListQuery, NoParams, listed

router = APIRouter(tags=["api-keys"])

_NAME = "agent-platform"
"""Name, for people, of the APIKeys that this dialect makes: its callers give none."""


class NewApiKey(BaseModel):
    """Wish for an API key of the caller's user."""

    model_config = ConfigDict(extra="forbid")

    scopes: Annotated[list[Literal["tools:read", "tools:write"]], Field(min_length=1, max_length=2)]
    """Rights of the key: no more than the caller has."""


class ApiKey(BaseModel):
    """An API key without its text."""

    id: uuid.UUID
    tenant_id: str
    user_id: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of_record(cls, record: KeyRecord, caller: TenantCaller, **more: str) -> Self:
        """Return the answer for a key of the caller."""
        revoked_at = record.revoked_at or record.created_at
        return cls(
            id=uuid.UUID(record.id),
            tenant_id=caller.tenant_id,
            user_id=record.user,
            scopes=list(record.scopes),
            created_at=datetime.fromtimestamp(record.created_at, UTC),
            revoked_at=datetime.fromtimestamp(revoked_at, UTC) if record.revoked else None,
            **more,
        )


class ShownApiKey(ApiKey):
    """An API key that was just created."""

    api_key: str
    """The key itself, which is stored nowhere and shown this once."""


class ApiKeysQuery(ListQuery):
    """The query of a list of keys."""

    include_revoked: Annotated[bool, Field(description="True: also keys that are revoked.")] = False


@router.post(
    "/api-keys",
    name="api_key.create",
    status_code=201,
    openapi_extra=parsing.body_of(NewApiKey),
)
async def create_api_key(
    request: Request,
    response: Response,
    caller: Writer,
    _: NoParams,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> ShownApiKey:
    """Create an API key of the caller's user. The answer has the key, this once; so no Idempotency-Key can bring it again."""
    if idempotency_key is not None:
        message = "A key is shown once, so this route takes no Idempotency-Key."
        raise errors.refused(409, "idempotency_not_supported", message, "Idempotency-Key")
    scopes = list(dict.fromkeys((await parsing.parsed(request, NewApiKey)).scopes))
    context = platform_context.of_request(request)
    wish, key_id = NewKey(_NAME, caller.user, scopes, expires_at=caller.expires_at), uuid.uuid4()
    try:
        check_held(caller.as_caller, wish, caller.expires_at)
        await begin_change(request, str(key_id), fields=("scopes",))
        made = await context.callers.issuing.create(caller.as_caller, caller.namespace, wish, key_id=str(key_id))
    except MoreThanHeld as error:
        raise errors.forbidden(str(error), error.field) from error
    except TooManyKeys as error:
        raise errors.refused(409, "too_many_keys", f"No key was made: {error}.") from error
    except NoPepper as error:
        raise errors.unavailable("api_keys_off", str(error)) from error
    response.headers["Cache-Control"] = "no-store"
    record, key = made
    return ShownApiKey.of_record(record, caller, api_key=key)


@router.get("/api-keys", name="api_key.list", response_model=list[ApiKey])
async def list_api_keys(request: Request, caller: Reader, params: Annotated[ApiKeysQuery, Query()]) -> Response:
    """Return the API keys of the caller's user, without the keys themselves, newest first."""
    keys = reversed(platform_context.of_request(request).callers.keys.all([caller.namespace]))
    own = [key for key in keys if key.user == caller.user and (params.include_revoked or not key.revoked)]
    page = own[params.offset : params.offset + params.limit]
    return listed([ApiKey.of_record(key, caller) for key in page], len(own))


@router.delete("/api-keys/{api_key_id}", name="api_key.delete", status_code=204)
async def revoke_api_key(request: Request, api_key_id: uuid.UUID, caller: Writer, _: NoParams) -> None:
    """Revoke an API key of the caller's user, for ever. All replicas refuse it, and its tokens, within two seconds."""
    issuing, key_id = platform_context.of_request(request).callers.issuing, str(api_key_id)
    record = await issuing.find(caller.namespace, key_id)
    if record is None or record.user != caller.user:
        raise errors.not_found("API key", key_id)
    await begin_change(request, key_id)
    await issuing.revoke(caller.namespace, key_id)

"""Routes of API keys."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from sympozium_archive.unavailable import DatabaseUnavailable
from sympozium_console import console_context, openapi_models, refusals
from sympozium_console.api_key_models import ApiKeyAnswer, ApiKeyList, NewApiKeyAnswer, NewKeyBody
from sympozium_console.console_context import ConsoleContext
from sympozium_console.routes.access import visible
from sympozium_console.routes.archive import answer
from sympozium_console.routes.params import REFUSALS, ListQuery, ObjectParams, authenticate, caller_of, json_object
from sympozium_domain.callers.key_issuing import MoreThanHeld, NoPepper, TooManyKeys
from sympozium_domain.callers.key_record import KeyRecord
from sympozium_http.refusal import Refusal

router = APIRouter(tags=["callers"], dependencies=[Depends(authenticate)], responses=REFUSALS)

KeyId = Annotated[str, Path(alias="id", pattern=r"^[A-Za-z0-9][-A-Za-z0-9]{0,62}$", description="``id`` of the key.")]


class KeyListQuery(ListQuery):
    """The query of a list of keys."""

    include_revoked: Annotated[bool, Field(description="True: also keys that are revoked.")] = False


@router.get("/api/v1/api-keys", response_model=ApiKeyList)
async def list_api_keys(request: Request, params: Annotated[KeyListQuery, Query()]) -> Response:
    """Return API keys, without the keys themselves, also those that have expired."""
    context, seen = console_context.of_request(request), visible(request)
    keys = context.callers.keys.all((seen.namespace,) if seen.namespace else seen.namespaces)
    shown = [key for key in keys if params.include_revoked or not key.revoked]
    uses = await _last_uses(context, shown)
    return answer(ApiKeyList(items=[ApiKeyAnswer.of_record(key, uses.get(key.uid)) for key in shown]))


@router.post(
    "/api/v1/api-keys", response_model=NewApiKeyAnswer, status_code=201, openapi_extra=openapi_models.NEW_API_KEY
)
async def create_api_key(request: Request, params: ObjectParams) -> Response:
    """Create an API key of a namespace. The answer has the key, this once."""
    wish = NewKeyBody.parsed(await json_object(request))
    issuing = console_context.of_request(request).callers.issuing
    try:
        record, key = await issuing.create(caller_of(request), params.namespace, wish)
    except NoPepper as error:
        raise refusals.api_keys_off(str(error)) from error
    except TooManyKeys as error:
        raise refusals.conflict(f"No key was made: {error}.", reason="TooManyKeys") from error
    except MoreThanHeld as error:
        raise refusals.more_than_held(error.field, str(error)) from error
    made = answer(NewApiKeyAnswer.of_record(record, key=key))
    made.status_code = 201
    made.headers["Cache-Control"] = "no-store"
    return made


@router.delete("/api/v1/api-keys/{id}", status_code=204)  # noqa: FAST003 - key_id has it as its alias
async def revoke_api_key(request: Request, key_id: KeyId, params: ObjectParams) -> None:
    """Revoke an API key, for ever. All replicas refuse it within two seconds."""
    if not await console_context.of_request(request).callers.issuing.revoke(params.namespace, key_id):
        raise Refusal(404, "NotFound", f"The namespace {params.namespace} has no API key {key_id}.")


async def _last_uses(context: ConsoleContext, keys: list[KeyRecord]) -> dict[str, int]:
    """Return the last uses that are known, none without an archive and while its database is away: lists of keys work all the same."""
    if context.callers.uses is None:
        return {}
    try:
        return await context.callers.uses.last([key.uid for key in keys])
    except DatabaseUnavailable:
        context.metrics.database_errors.inc()
        return {}

"""Identities of the objects that requests create, by their Idempotency-Key."""

import uuid
from typing import Any

from starlette.requests import Request

from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_domain.idempotent_creation import Creation
from sympozium_http.refusal import Refusal
from sympozium_platform import errors

IDEMPOTENCY_KEY = "Idempotency-Key"
_LONGEST_KEY = 255
IDEMPOTENCY_HEADER: dict[str, Any] = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "Another request with the same key and body gets the same object, or run; with another body it is refused (422).",
    "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_KEY},
}
"""Description of the header, for OpenAPI."""


def creation_of(request: Request, caller: TenantCaller, body: Any) -> Creation:
    """Return the identity of the object that a request with this JSON body creates. Raises Refusal 422 for a bad Idempotency-Key."""
    return Creation.of(
        tenant=caller.tenant_id,
        caller=caller.key_id,
        route=request.url.path,
        idempotency_key=idempotency_key(request),
        body=body,
    )


def publication_key(request: Request, caller: TenantCaller) -> str | None:
    """Return the label's value of a publication's Idempotency-Key; None: the request has none. Raises Refusal 422."""
    return None if idempotency_key(request) is None else uuid.UUID(creation_of(request, caller, None).id).hex


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key of a request; None: it has none. Raises Refusal 422."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is not None and not 0 < len(key) <= _LONGEST_KEY:
        raise errors.bad_field(IDEMPOTENCY_KEY, f"must have from 1 to {_LONGEST_KEY} characters")
    return key


def key_of_another_body() -> Refusal:
    """Return 422: the Idempotency-Key was sent with another body before."""
    message = f"{IDEMPOTENCY_KEY}: was sent with another body before; send another key"
    return errors.refused(422, "idempotency_key_reused", message, IDEMPOTENCY_KEY)

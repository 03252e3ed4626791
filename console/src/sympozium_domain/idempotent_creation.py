"""Creation of objects under an Idempotency-Key: the key gives the object its id and its name, so the API server lets it be made once.

No table of keys is kept: a repeated request meets the object that the first one made, at whichever replica and after a restart.
"""

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sympozium_api import names
from sympozium_api.client import ApiError, Client
from sympozium_api.resources import Object, ResourceType
from sympozium_domain import object_times

_NAMESPACE = uuid.UUID("5a0d5d6c-5e0b-5f43-9d2a-2f4c9c6d2b11")
_NAME_DIGITS = 20
_DIGEST_DIGITS = 32


class KeyOfAnotherBody(Exception):
    """An Idempotency-Key with which another body was sent before, or an object of another kind of request."""


@dataclass(frozen=True)
class Creation:
    """The identity of the object that a request creates."""

    id: str
    """Id of the object, a UUID."""
    digest: str | None = None
    """Digest of the request's body; None: the request has no Idempotency-Key."""

    @classmethod
    def of(cls, *, tenant: str, caller: str, route: str, idempotency_key: str | None, body: Any) -> Self:
        """Return the identity of what a request creates; ``body`` is its JSON value.

        An Idempotency-Key belongs to its ``tenant``, to its ``caller`` (an API key, or a user without one) and to its ``route``.
        """
        if idempotency_key is None:
            return cls(str(uuid.uuid4()))
        parts = json.dumps([tenant, caller, route, idempotency_key])
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        return cls(str(uuid.uuid5(_NAMESPACE, parts)), hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS])

    def name(self, prefix: str) -> str:
        """Return the name of the object: the prefix, a hyphen and 20 hexadecimal digits of its id."""
        return f"{prefix}-{uuid.UUID(self.id).hex[:_NAME_DIGITS]}"

    def metadata(self, name: str, owner: str, now: datetime) -> Object:
        """Return the metadata of the object under a name, for the user who owns it."""
        annotations = {names.ANNOTATION_OWNER: owner, **object_times.at_creation(now)}
        digest = {names.ANNOTATION_REQUEST_HASH: self.digest} if self.digest else {}
        return {"name": name, "labels": {names.LABEL_ID: self.id}, "annotations": annotations | digest}

    async def is_made(self, client: Client, kind: ResourceType, namespace: str, name: str) -> bool:
        """Return whether an earlier request with the Idempotency-Key has made the object. Raises ApiError and ApiUnavailable."""
        return self.digest is not None and await client.find_metadata(kind, namespace, name) is not None

    async def create(self, client: Client, kind: ResourceType, namespace: str, body: Object) -> tuple[Object, bool]:
        """Create the object whose metadata are this creation's. Return it and True; False: the same request made it before.

        Raises KeyOfAnotherBody, ApiError (400 for an unknown field) and ApiUnavailable.
        """
        try:
            return await client.create(kind, namespace, body, strict=True), True
        except ApiError as error:
            if not error.already_exists or self.digest is None:
                raise
        found = await client.get(kind, namespace, body["metadata"]["name"])
        if (found["metadata"].get("annotations") or {}).get(names.ANNOTATION_REQUEST_HASH) != self.digest:
            raise KeyOfAnotherBody
        return found, False

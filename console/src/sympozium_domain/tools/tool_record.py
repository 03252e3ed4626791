"""A tool as the dialects show it, made from its Tool. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import Object
from sympozium_api.tool import Tool, ToolSpec
from sympozium_api.tool_schema import MAX_SCHEMA_DEPTH, depth, parameters_text
from sympozium_domain import object_ids, object_times

ExecutionType = Literal["http_webhook", "internal"]
AuthType = Literal["none", "api_key", "oauth2", "service"]
Status = Literal["active", "deprecated"]

AUTH_OF_KIND: dict[str, AuthType] = {"none": "none", "apiKey": "api_key", "oauth2": "oauth2", "service": "service"}
"""Kinds of credentials, by the Tool's words for them."""


@dataclass(frozen=True)
class ToolRecord:
    """One tool."""

    id: str
    object_name: str
    name: str
    """Name of the tool, for people: the Tool's title."""
    description: str
    input_schema: dict[str, Any]
    execution_type: ExecutionType
    """http_webhook: an HTTP server carries out the calls. internal: all else."""
    endpoint: str | None
    """URL of the HTTP server; None: the tool is internal."""
    auth_type: AuthType
    status: Status
    version: int | str
    """Number of the version; a text where the Tool's version is no number."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, body: Object) -> Self | None:
        """Return the tool of a Tool; None: this version cannot read it, or it is being deleted."""
        if body["metadata"].get("deletionTimestamp"):
            return None
        try:
            spec = read(Tool, body).spec
        except Unreadable:
            return None  # of a later version's schema; the operator reports it
        webhook = spec.webhook
        return cls(
            id=object_ids.object_id(body),
            object_name=body["metadata"]["name"],
            name=spec.title,
            description=spec.description or "",
            input_schema=_schema(spec),
            execution_type="internal" if webhook is None else "http_webhook",
            endpoint=None if webhook is None else webhook.url,
            auth_type="none" if webhook is None else AUTH_OF_KIND[webhook.auth],
            status="deprecated" if spec.deprecated else "active",
            version=_version(spec.version),
            created_at=object_times.created(body),
            updated_at=object_times.updated(body),
        )


def _schema(spec: ToolSpec) -> dict[str, Any]:
    try:
        schema = json.loads(parameters_text(spec))
    except (ValueError, RecursionError):
        return {}  # the Tool's condition says so
    is_shown = isinstance(schema, dict) and depth(schema) <= MAX_SCHEMA_DEPTH
    return schema if is_shown else {}


def _version(text: str | None) -> int | str:
    if text is None:
        return 1
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 and text == str(int(text)) else text

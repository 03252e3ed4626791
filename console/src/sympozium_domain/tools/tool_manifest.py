"""Tools and patches of Tools that carry out what a caller wants of a tool. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sympozium_api.resources import TOOLS, Object
from sympozium_api.tool import Tool
from sympozium_api.tool_address import AddressError, host_of
from sympozium_domain import object_ids, object_times
from sympozium_domain.idempotent_creation import Creation
from sympozium_domain.tools.input_schema import schema_text
from sympozium_domain.tools.tool_record import AUTH_OF_KIND, ToolRecord
from sympozium_domain.tools.wrong_field import WrongField, check

_KIND_OF_AUTH: dict[str, str] = {ours: kind for kind, ours in AUTH_OF_KIND.items()}
_WITH_SECRET = ("api_key", "oauth2")
_OF_CALLS = ("execution_type", "endpoint", "auth_type", "name")
"""Fields that say together who carries out the calls. The name of an internal tool is that of the built-in tool or skill."""

_SENT_NAMES = {
    "spec.title": "name",
    "spec.description": "description",
    "spec.parametersText": "input_schema",
    "spec.webhook.url": "endpoint",
    "spec.version": "version",
}
ToolFields = dict[str, Any]
"""Fields of a tool that a caller gives, under the names of ToolRecord."""


@dataclass(frozen=True)
class _Calls:
    """Parts of a tool that say who carries out its calls."""

    name: str
    execution_type: str
    endpoint: str | None
    auth_type: str

    def check(self, given: ToolFields) -> None:
        """Raise WrongField unless the parts fit one another, whichever of them are given."""
        if self.execution_type == "internal":
            if given.get("endpoint") is not None:
                raise WrongField("endpoint", "must be null, because only a tool of execution_type http_webhook has one")
            if given.get("auth_type", "none") != "none":
                raise WrongField(
                    "auth_type", "must be none, because only tools of execution_type http_webhook have more"
                )
            return
        if self.endpoint is None:
            raise WrongField("endpoint", "is required, because the tool has execution_type http_webhook")
        try:
            host_of(self.endpoint)
        except AddressError as error:
            raise WrongField("endpoint", f"the URL {error}") from None


def manifest(creation: Creation, fields: ToolFields, owner: str, now: datetime, *, timeout_seconds: int) -> Object:
    """Return the Tool of a new tool. ``timeout_seconds`` bounds its calls, beside each binding. Raises WrongField."""
    calls = _Calls(fields["name"], fields["execution_type"], fields.get("endpoint"), fields.get("auth_type", "none"))
    calls.check(fields)
    spec = _simple(fields | {"version": fields.get("version", 1)}) | {"timeoutSeconds": timeout_seconds}
    if calls.execution_type == "internal":
        spec["builtin"] = {"name": calls.name}
    else:
        spec["webhook"] = {"url": calls.endpoint, "auth": _KIND_OF_AUTH[calls.auth_type]}
    body = {
        "apiVersion": TOOLS.api_version,
        "kind": TOOLS.kind,
        "metadata": creation.metadata(creation.name("tool"), owner, now),
        "spec": {key: value for key, value in spec.items() if value is not None},
    }
    check(Tool, body, _SENT_NAMES)
    return body


def patch(body: Object, known: ToolRecord, fields: ToolFields, now: datetime) -> Object:
    """Return the merge patch that gives a Tool the fields; all else of it stays. Raises WrongField."""
    spec = _simple(fields)
    if any(field in fields for field in _OF_CALLS):
        spec |= _of_calls(body["spec"], known, fields)
    check(Tool, {**body, "spec": _merged(body["spec"], spec)}, _SENT_NAMES)
    metadata = {
        "resourceVersion": body["metadata"]["resourceVersion"],
        "labels": object_ids.lasting(body),
        "annotations": object_times.at_change(now),
    }
    return {"metadata": metadata, "spec": spec}


def _simple(fields: ToolFields) -> Object:
    """Return the parts of the spec that stand for one field each. None removes a part."""
    spec: Object = {}
    if "name" in fields:
        spec["title"] = fields["name"]
    if "description" in fields:
        spec["description"] = fields["description"] or None
    if "input_schema" in fields:
        spec |= {"parametersText": schema_text(fields["input_schema"]), "parameters": None}
    if "status" in fields:
        spec["deprecated"] = fields["status"] == "deprecated"
    if "version" in fields:
        spec["version"] = str(fields["version"])
    return spec


def _of_calls(spec: Object, known: ToolRecord, fields: ToolFields) -> Object:
    kind = fields.get("execution_type", known.execution_type)
    is_other = kind != known.execution_type
    calls = _Calls(
        fields.get("name", known.name),
        kind,
        fields.get("endpoint", known.endpoint),
        fields.get("auth_type", known.auth_type),
    )
    calls.check(fields)
    if kind == "internal":
        named = (spec.get("builtin") or {}).get("name") == known.name
        return {"builtin": {"name": calls.name}, **_without(spec, "webhook")} if is_other or named else {}
    webhook: Object = {"url": calls.endpoint, "auth": _KIND_OF_AUTH[calls.auth_type]}
    if calls.auth_type not in _WITH_SECRET or is_elsewhere(known.endpoint, calls.endpoint):
        webhook |= {"secretRef": None}
    if is_elsewhere(known.endpoint, calls.endpoint):
        webhook |= {"headers": None}
    return {"webhook": webhook, **_without(spec, "builtin", "command", "signed")}


def is_elsewhere(before: str | None, after: str | None) -> bool:
    """Return true if two URLs are not of one origin: a Secret and headers that were meant for one server are sent to no other."""
    first, second = (urlsplit(url or "") for url in (before, after))
    return (first.scheme, first.netloc) != (second.scheme, second.netloc)


def _merged(value: Object, patch: Object) -> Object:
    """Return an object after a merge patch (RFC 7396)."""
    kept = {key: part for key, part in value.items() if key not in patch}
    for key, part in patch.items():
        if isinstance(part, dict):
            kept[key] = _merged(value.get(key) or {}, part)
        elif part is not None:
            kept[key] = part
    return kept


def _without(spec: Object, *fields: str) -> Object:
    return {field: None for field in fields if field in spec}

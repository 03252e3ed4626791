"""The body with which a web endpoint is switched: ``enabled``, and values of ``spec.webEndpoint`` as a merge patch. Pure."""

from typing import Any

from pydantic import ConfigDict, ValidationError

from sympozium_api.resources import Object
from sympozium_api.web_endpoint import WebEndpoint
from sympozium_console import openapi_models, refusals


class WebEndpointSwitch(WebEndpoint):
    """The values of a web endpoint. Omitted ones stay as they are; null stands for the default."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool
    """True switches the HTTP API on."""


_SCHEMA = WebEndpointSwitch.model_json_schema(ref_template="#/components/schemas/{model}")
_PARTS = _SCHEMA.pop("$defs")


def _nullable(schema: Object) -> Object:
    """Return the schema of a value that may also be null. No default is among it, because an omitted value stays as it is."""
    plain = {key: value for key, value in schema.items() if key != "default"}
    return plain if "anyOf" in plain else {"anyOf": [plain, {"type": "null"}]}


def _inlined(schema: Any) -> Any:
    """Return a schema with the parts that it refers to in their place."""
    if isinstance(schema, list):
        return [_inlined(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(_PARTS[schema["$ref"].rpartition("/")[2]] | {k: v for k, v in schema.items() if k != "$ref"})
    return {key: _inlined(value) for key, value in schema.items() if key != "x-kubernetes-validations"}


def _partial(schema: Object) -> Object:
    """Return the schema of an object of which any part may be sent."""
    fields = {name: _nullable(_inlined(field)) for name, field in schema["properties"].items()}
    return {"type": "object", "description": schema["description"], "properties": fields, "additionalProperties": False}


BODY = openapi_models.body_of(
    _partial(_SCHEMA)
    | {
        "required": ["enabled"],
        "properties": _partial(_SCHEMA)["properties"]
        | {"enabled": _SCHEMA["properties"]["enabled"], "rateLimit": _nullable(_partial(_PARTS["RateLimit"]))},
        "example": {"enabled": True, "rateLimit": {"requestsPerMinute": 600}},
    },
    *openapi_models.OBJECT_TYPES,
)
"""The body in OpenAPI."""


def parse(body: Object) -> tuple[bool, Object]:
    """Return whether a body switches on, and the values that it sets. Raises Refusal 400, which names every wrong field.

    A part of an object, such as of ``oauth``, need not be valid alone: the API server checks the whole.
    """
    try:
        WebEndpointSwitch.model_validate(_without_nulls(body), strict=True)
    except ValidationError as error:
        faults = [fault for fault in error.errors() if fault["type"] != "missing" or fault["loc"] == ("enabled",)]
        if faults:
            raise refusals.bad_fields(faults) from error
    return body["enabled"], {name: value for name, value in body.items() if name != "enabled"}


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(item) for name, item in value.items() if item is not None}

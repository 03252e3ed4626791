"""Structural OpenAPI schemas of CustomResourceDefinitions, from typed models."""

from typing import Any

from sympozium_api.base import OBJECT_DEFAULT, PATTERN_MESSAGE, ApiModel, rule

_DROPPED = ("title", "default", "$defs", "$ref", "anyOf", "allOf", "additionalProperties")


def structural(model: type[ApiModel]) -> dict[str, Any]:
    """Return the schema of a model without references, ``null`` and titles, as the API server requires."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _plain(schema, schema.get("$defs", {}))


def default_sentence(field: dict[str, Any]) -> str:
    """Return what ``kubectl explain``, which shows no defaults, adds to a field's description; "" where it is false or empty."""
    return f" Default: {field['default']}." if field.get("default") else ""


def _plain(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _resolve(schema, definitions)
    plain = {key: value for key, value in schema.items() if key not in _DROPPED}
    if isinstance(default := schema.get("default"), bool | int | float | str):
        plain["default"] = default
        if "description" in plain:
            plain["description"] += default_sentence(plain)
    if "properties" in schema:
        plain["properties"] = {name: _plain(part, definitions) for name, part in schema["properties"].items()}
    if "items" in schema:
        plain["items"] = _plain(schema["items"], definitions)
    if isinstance(values := schema.get("additionalProperties"), dict):
        plain["additionalProperties"] = _plain(values, definitions)
    if message := plain.pop(PATTERN_MESSAGE, None):
        matches = rule(f"self.matches(r'{plain.pop('pattern')}')", message)
        plain["x-kubernetes-validations"] = [matches, *plain.get("x-kubernetes-validations", [])]
    if default := plain.pop(OBJECT_DEFAULT, None):
        plain["default"] = default
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    return plain


def _resolve(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Resolve a schema's ``$ref`` and ``X | None``; keys beside them override the resolved schema's."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[1]]
        return _resolve({**target, **{key: value for key, value in schema.items() if key != "$ref"}}, definitions)
    if "anyOf" in schema:
        [target] = [part for part in schema["anyOf"] if part.get("type") != "null"]
        siblings = {key: value for key, value in schema.items() if key != "anyOf"}
        return _resolve({**target, **siblings}, definitions)
    return schema

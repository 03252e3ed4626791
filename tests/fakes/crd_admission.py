"""Admission of custom resources as the API server does it: unknown fields dropped or refused, schemas and CEL rules checked.

The few forms of CEL that our rules use are translated to Python, so that every rule of the generated CRDs holds here too.
"""

import copy
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any

from tests.contract.crd_schema import violations

from sympozium_api.client import ApiError
from sympozium_api.generate.crds import KINDS, definition
from sympozium_api.resources import Object

_RULES = "x-kubernetes-validations"
_OPEN = "x-kubernetes-preserve-unknown-fields"
_TRANSLATIONS = (
    (r"has\((\w+(?:\.\w+)*)\.(\w+)\)", r"('\2' in \1)"),
    (r"\((\(\S+ in \S+\)) \? (\S+) : (\S+)\)", r"(\2 if \1 else \3)"),
    (r"!(?![=])", " not "),
    (r"&&", " and "),
    (r"\|\|", " or "),
    (r"(\w+(?:\.\w+)*)\.matches\(", r"matches(\1, "),
    (r"(\w+)\.lowerAscii\(\)", r"lower(\1)"),
    (r"(?<=[\w\]])\.([a-z]\w*)", r"['\1']"),
)
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def admitted(plural: str, name: str, body: Object, old: Object | None, *, strict: bool, is_patch: bool) -> Object:
    """Return a custom resource as the API server stores it; ApiError 422 if it breaks its schema or a rule.

    Fields that the schema does not know are dropped. If ``strict``, they are refused: with 400, or in a patch with 422 and the whole
    object in the message.
    """
    schema = _schema(plural)
    if strict:
        _refuse_unknown(plural, body, is_patch=is_patch)
    known = stored(plural, body)
    tolerated = set(violations(old, schema)) if old else set()  # what was wrong before may stay (ratcheting)
    if wrong := [line for line in violations(known, schema) if line not in tolerated]:
        causes = [
            {"reason": "FieldValueInvalid", "field": path.lstrip("."), "message": message}
            for path, message in (line.split(": ", 1) for line in wrong)
        ]
        causes.append({"reason": "FieldValueInvalid", "field": "<nil>", "message": "some rules were not checked"})
        raise _invalid(name, wrong[0], causes)
    for path, message in broken_rules(known, old, schema):
        field = path.lstrip(".")
        raise _invalid(name, message, [{"reason": "FieldValueInvalid", "field": field, "message": message}])
    return known


def stored(plural: str, body: Object) -> Object:
    """Return a custom resource with its defaults, and without the fields that its schema does not know."""
    found: Object = defaulted(body, _schema(plural))
    return found


def columns(plural: str, body: Object) -> Object:
    """Return the values of a custom resource's columns by title, of those whose path has names only."""
    found: Object = {}
    for column in printer_columns(plural):
        value: Any = body
        for name in column["jsonPath"].strip(".").split("."):
            value = value.get(name) if isinstance(value, dict) else None
        found[column["name"]] = value
    return found


def printer_columns(plural: str) -> list[Object]:
    """Return the definitions of a custom resource's columns."""
    found: list[Object] = _version(plural)["additionalPrinterColumns"]
    return found


def unseen_status(plural: str) -> Object:
    """Return the status that the API server shows of an object until somebody writes one."""
    status: Object = stored(plural, {})["status"]
    return status


def selectable_fields(plural: str) -> set[str] | None:
    """Return the fields by which a custom resource can be selected; None for a kind of Kubernetes itself."""
    if plural not in _kinds():
        return None
    fields = _version(plural).get("selectableFields", [])
    return {field["jsonPath"].lstrip(".") for field in fields} | {"metadata.name", "metadata.namespace"}


def is_custom(plural: str) -> bool:
    return plural in _kinds()


@functools.cache
def _kinds() -> dict[str, Object]:
    return {kind.plural: definition(kind) for kind in KINDS}


def _version(plural: str) -> Object:
    [version] = _kinds()[plural]["spec"]["versions"]
    found: Object = version
    return found


@functools.cache
def _schema(plural: str) -> Object:
    found: Object = _version(plural)["schema"]["openAPIV3Schema"]
    return found


def _refuse_unknown(plural: str, body: Object, *, is_patch: bool) -> None:
    wrong = [line for line in violations(body, _schema(plural)) if line.endswith(": unknown")]
    if not wrong:
        return
    listed = ", ".join(f'unknown field "{line.removesuffix(": unknown").lstrip(".")}"' for line in wrong)
    kind, version = _kinds()[plural]["spec"]["names"]["kind"], _version(plural)["name"]
    start = f'{kind} in version "{version}" cannot be handled as a {kind}: '
    status, reason = 400, "BadRequest"
    if is_patch:
        start = f' "" is invalid: patch: Invalid value: {json.dumps(json.dumps(body))}: '
        status, reason = 422, "Invalid"
    raise ApiError(status, {"reason": reason, "message": f"{start}strict decoding error: {listed}"})


def _invalid(name: str, first: str, causes: list[Object]) -> ApiError:
    message = f"{name} is invalid: {first}"
    return ApiError(422, {"reason": "Invalid", "message": message, "details": {"causes": causes}})


def defaulted(value: Any, schema: Mapping[str, Any], *, top: bool = True) -> Any:
    """Return a value with its schema's defaults and without the fields that the schema does not know; ``metadata`` stays."""
    if isinstance(value, list):
        return [defaulted(item, schema.get("items", {}), top=False) for item in value]
    if not isinstance(value, dict) or schema.get(_OPEN):
        return value
    fields, others = schema.get("properties", {}), schema.get("additionalProperties")
    defaults = {name: part["default"] for name, part in fields.items() if "default" in part and name not in value}
    return {
        name: part if top and name == "metadata" else defaulted(part, fields.get(name, others or {}), top=False)
        for name, part in (value | copy.deepcopy(defaults)).items()
        if name in fields or others is not None or (top and name == "metadata")
    }


def broken_rules(value: Any, old: Any, schema: Object, path: str = "") -> Iterator[tuple[str, str]]:
    """Give path and message of each rule that a value breaks. Rules about ``oldSelf`` hold where there was a value before."""
    if old is not None and value == old:
        return  # what was wrong before may stay (ratcheting)
    for rule in schema.get(_RULES, ()):
        is_transition = "oldSelf" in rule["rule"]
        if (not is_transition or old is not None) and not _holds(rule["rule"], value, old):
            yield path + rule.get("fieldPath", ""), rule["message"]
    if isinstance(value, dict):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
        for name, part in value.items():
            before = old.get(name) if isinstance(old, dict) else None
            yield from broken_rules(part, before, fields.get(name, others), f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from broken_rules(item, None, schema.get("items", {}), f"{path}[{index}]")


def _holds(rule: str, value: Any, old: Any) -> bool:
    functions: dict[str, Callable[..., Any]] = {
        "matches": lambda text, pattern: re.search(pattern, text) is not None,
        "lower": str.lower,
        "duration": _seconds,
    }
    return bool(eval(_compiled(rule), functions | {"self": value, "oldSelf": old}))


@functools.cache
def _compiled(rule: str) -> CodeType:
    words = re.split(r"('[^']*')", " ".join(rule.split()))  # texts in quotes stay as they are
    placed = "".join(f"__{index}__" if index % 2 else word for index, word in enumerate(words))
    for pattern, python in _TRANSLATIONS:
        placed = re.sub(pattern, python, placed)
    for index in range(1, len(words), 2):
        placed = placed.replace(f"__{index}__", words[index])
    return compile(placed.strip(), "CEL rule", "eval")


def _seconds(text: str) -> float:
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|h|m|s)", text))

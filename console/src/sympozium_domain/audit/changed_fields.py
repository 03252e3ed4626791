"""Names of the fields that a request sets, as its kind's schema has them. No value, and no name that a caller may choose, is among them."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from sympozium_api.api_key import APIKey
from sympozium_api.config import SympoziumConfig
from sympozium_api.instance import SympoziumInstance
from sympozium_api.resources import API_KEYS, CONFIGS, INSTANCES, Object

_MODELS: dict[str, type[BaseModel]] = {
    INSTANCES.kind: SympoziumInstance,
    API_KEYS.kind: APIKey,
    CONFIGS.kind: SympoziumConfig,
}
_IDENTITY = ("apiVersion", "kind", "metadata.name", "metadata.namespace", "metadata.resourceVersion")
_MOST_NAMES = 50
_MOST_DEPTH = 6


def changed_fields(kind: str, body: Object) -> tuple[str, ...]:
    """Return the paths that a body sets, such as ``spec.memory.systemPrompt``; those of the spec may stand at its top.

    A list ends its items' paths with ``[]``. Keys of free-form maps, such as ``env``, and names that the schema lacks are left out,
    because they may be anything. A kind without a model has none.
    """
    model = _MODELS.get(kind)
    if model is None:
        return ()
    manifest = body if "spec" in body else {"spec": body}
    paths = dict.fromkeys(path for path in _paths(model, manifest, "") if path not in _IDENTITY)
    return tuple(paths)[:_MOST_NAMES]


def _paths(model: type[BaseModel], body: Object, prefix: str) -> Iterator[str]:
    """Yield the paths of the fields of a model that a body sets, the deepest that the schema knows."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key not in body:
            continue
        path, value = prefix + key, body[key]
        inner = _model_in(field.annotation)
        items = value if isinstance(value, list) else [value]
        deeper = [item for item in items if isinstance(item, dict) and item]
        if inner is None or not deeper or path.count(".") >= _MOST_DEPTH:
            yield path
            continue
        for item in deeper:
            names = tuple(_paths(inner, item, f"{path}[]." if isinstance(value, list) else f"{path}."))
            yield from names or (path,)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a field or of its items; None for a scalar, a free-form map and a map of models, whose keys are free."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if getattr(annotation, "__origin__", None) is dict:
        return None
    return next(filter(None, map(_model_in, get_args(annotation))), None)

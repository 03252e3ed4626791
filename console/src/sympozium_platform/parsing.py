"""Bodies of requests: JSON, whatever their Content-Type says, within bounds, and parsed once."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any, Never, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from sympozium_http import json_body, request_state
from sympozium_http.refusal import Refusal
from sympozium_platform import errors, held_bytes, platform_context

Model = TypeVar("Model", bound=BaseModel)

SCHEMAS = "#/components/schemas/"
_MOST_FAULTS = 100
"""Faults of a body up to which they are told one by one."""


@dataclass
class _Body:
    """Body of a request, once it is read."""

    content: bytes | None = None


async def parsed(request: Request, model: type[Model]) -> Model:
    """Return the body as a model. Raises Refusal 413, 400 for what is no JSON, and 422, which names the field at fault."""
    return validated(await json_value(request), model)


def validated(value: Any, model: type[Model]) -> Model:
    """Return a JSON value as a model. Raises Refusal 422, which names the field at fault."""
    if not isinstance(value, dict):
        raise errors.refused(422, "invalid_value", "The body is not a JSON object.")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        if error.error_count() > _MOST_FAULTS:
            raise errors.many_faults(error.error_count()) from None
        raise errors.bad_values(error.errors(include_url=False, include_input=False, include_context=False)) from error


async def json_value(request: Request) -> Any:
    """Return the value of the body. Raises Refusal 413 and 400."""
    return _value(await read(request))


async def json_value_if_any(request: Request) -> Any:
    """Return the value of the body; an empty object if there is no body. Raises Refusal 413 and 400."""
    content = await read(request)
    return _value(content) if content.strip() else {}


async def read(request: Request, *, most: int | None = None) -> bytes:
    """Return the body, which is counted until the request ends. Raises Refusal 413, and 503 if this process holds too much.

    ``most``: the bytes that it may have; None: as many as the installation allows.
    """
    body = request_state.attached(request, _Body)
    if body.content is None:
        body.content = await _read(request, platform_context.of_request(request).max_body_bytes, most)
    return body.content


async def _read(request: Request, allowed: int, most: int | None) -> bytes:
    limit = allowed if most is None else min(allowed, most)
    try:
        return await json_body.read_bytes(request, limit=limit, on_bytes=partial(held_bytes.hold, request))
    except json_body.TooLarge as error:
        raise errors.refused(413, "body_too_large", f"The body is larger than {limit} bytes.") from error


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return what a route adds to its OpenAPI, as ``openapi_extra``, about a body that ``parsed`` reads."""
    schema = model.model_json_schema(ref_template=f"{SCHEMAS}{{model}}")
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def _value(content: bytes) -> Any:
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is JSON that cannot be stored
    except json.JSONDecodeError as error:
        raise _not_json(f"The body is not JSON: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise _not_json("The body is not JSON that can be stored.") from error
    return value


def _not_json(message: str) -> Refusal:
    return errors.refused(400, "invalid_json", message)


def _refuse_constant(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")

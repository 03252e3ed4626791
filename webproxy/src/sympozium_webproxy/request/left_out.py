"""The answer's header that names what of a request the model is not sent as it was asked for."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from sympozium_api import model_params
from sympozium_api.instance import SympoziumInstance
from sympozium_http import request_state

HEADER = "x-sympozium-ignored"
_MOST = 32
"""Paths that the header names; of more, the last entry is ``...``, because clients bound the size of headers."""
_LONGEST = 128
"""Characters of a path, likewise."""
_CEILED = (model_params.MAX_TOKENS, model_params.MAX_COMPLETION_TOKENS, "max_output_tokens")
"""Names of the largest number of an answer's tokens, in each API."""


def tell(request: Request, paths: Sequence[str]) -> None:
    """Let every answer to a request name these fields, from now on; characters that no header can hold are percent-encoded."""
    if paths:
        shown = [quote(path, safe="[]$~")[:_LONGEST] for path in paths[:_MOST]]
        request_state.of(request).answer_headers[HEADER] = ", ".join([*shown, *(["..."] if len(paths) > _MOST else [])])


def lowered(instance: SympoziumInstance, body: Mapping[str, Any]) -> list[str]:
    """Return the fields of a body whose values are above the instance's ceiling: the task has the ceiling instead."""
    ceiling = instance.spec.agents.default.max_tokens
    return [name for name in _CEILED if model_params.above(ceiling, body.get(name))]

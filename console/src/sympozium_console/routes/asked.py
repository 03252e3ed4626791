"""What a request may say: its token first, then its address and parameters, then its body. Nothing unknown is passed over."""

import json
from typing import Annotated, Any, Never

from fastapi import Depends, Path
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from sympozium_api.names import DNS_LABEL
from sympozium_api.run import Phase
from sympozium_console import context, errors, models
from sympozium_http import json_body, request_state

_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"

Name = Annotated[str, Path(max_length=253, pattern=_SUBDOMAIN)]
"""Of an object, as Kubernetes allows it: it becomes part of a path of the API server."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": models.ErrorAnswer, "description": "Refused."},
    503: {
        "model": models.ErrorAnswer,
        "description": "The API server cannot answer; Retry-After says when to try again.",
    },
}


def authenticate(
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> None:
    """Raises Refusal 401 unless the caller has a token of this console."""
    key_id = context.of(request).tokens.identify(request.headers.get("authorization"))
    if key_id is None:
        raise errors.unauthorized()
    request_state.of(request).key_id = key_id


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InNamespace(_Query):
    """The namespace of one object."""

    namespace: Annotated[str, Field(pattern=f"^{DNS_LABEL}$")] = "default"


class OfNamespace(_Query):
    """The namespace of a list."""

    namespace: Annotated[str, Field(pattern=f"^({DNS_LABEL})?$", description="Left out or empty: all namespaces.")] = ""

    @property
    def space(self) -> str | None:
        """The namespace; None: all."""
        return self.namespace or None


class Paged(OfNamespace):
    """A page of a list."""

    limit: Annotated[int, Field(ge=1, le=500, description="Objects of a page, at most.")] = 100
    continue_: Annotated[
        str, Field(alias="continue", max_length=4096, description="``metadata.continue`` of the page before.")
    ] = ""


class OfRuns(Paged):
    """A page of runs."""

    instance: Annotated[str | None, Field(max_length=40, pattern=_SUBDOMAIN, description="Of this instance.")] = None
    phase: Annotated[Phase | None, Field(description="In this phase.")] = None
    source: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
            description="Made by ``web-proxy``, ``mcp``, ``api`` or ``schedule``.",
        ),
    ] = None


async def json_object(request: Request) -> dict[str, Any]:
    """The body; raises Refusal 415, 413 or 400."""
    limit = context.of(request).settings.max_body_bytes
    try:
        content = await json_body.read_json_bytes(request, limit=limit)
    except json_body.NotJson as error:
        message = "Send the body as 'Content-Type: application/json'."
        raise errors.Refusal(415, "UnsupportedMediaType", message) from error
    except json_body.TooLarge as error:
        raise errors.Refusal(413, "RequestEntityTooLarge", f"The body is larger than {limit} bytes.") from error
    try:
        found = json.loads(content, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is JSON, and nothing that can be stored
    except (ValueError, RecursionError) as error:
        raise errors.Refusal(400, "BadRequest", "The body is not JSON.") from error
    if not isinstance(found, dict):
        raise errors.Refusal(400, "BadRequest", "The body is not a JSON object.")
    return found


def _no_number(word: str) -> Never:
    raise ValueError(f"{word} is not JSON")

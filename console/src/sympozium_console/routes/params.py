"""The parts of a request: its token first, then its path and parameters, then its body. Unknown parts are refused."""

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, Never

from fastapi import Depends, Path, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from sympozium_api.names import DNS_LABEL
from sympozium_api.run_status import Phase
from sympozium_api.timestamps import parse_timestamp
from sympozium_archive.times import microseconds
from sympozium_console import console_context, openapi_models, refusals
from sympozium_console.browser_sessions import NoCookieKeys
from sympozium_console.routes import session_cookie
from sympozium_domain.callers.caller import Caller
from sympozium_domain.callers.credentials import NotJudged, Unauthenticated
from sympozium_http import json_body, request_state
from sympozium_http.refusal import Refusal

_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"

Name = Annotated[str, Path(max_length=253, pattern=_SUBDOMAIN)]
"""Name of an object, as Kubernetes allows it, because it becomes part of a path of the API server."""

InstanceName = Annotated[str | None, Field(max_length=40, pattern=_SUBDOMAIN)]
"""Name of an instance; None: any."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _microseconds(text: str) -> int:
    try:
        if _TIME.fullmatch(text):
            return microseconds(parse_timestamp(text.upper()))
    except ValueError:
        pass
    raise PydanticCustomError("time", "must be an RFC 3339 time such as 2026-11-29T10:00:00Z (encode a + as %2B)")


Moment = Annotated[int, BeforeValidator(_microseconds, str), WithJsonSchema({"type": "string", "format": "date-time"})]
"""Time, as microseconds since 1970 UTC, as the archive has them."""

Text = Annotated[str | None, Field(min_length=1, max_length=253)]
"""Text that a value must equal; None: any."""

_MOST_DIGITS = 9
"""Digits of a number of characters: an answer has at most eight million."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": openapi_models.ErrorAnswer, "description": "Refused."},
    503: {
        "model": openapi_models.ErrorAnswer,
        "description": "The API server cannot answer; Retry-After says when to try again.",
    },
}


async def authenticate(
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> None:
    """Find out the caller, ``request.state.caller``, by its token or by its browser's session. Raises Refusal 401, 403 for a change that
    another site has sent, and 503 while its credentials cannot be judged. Streams that are open call it again and again.
    """
    state = request_state.of(request)
    try:
        caller = await _caller(request)
    except Unauthenticated as error:
        state.refused_key_id = error.key_id
        raise refusals.unauthorized(str(error)) from error
    except NotJudged as error:
        raise refusals.not_judged(str(error), error.retry_after) from error
    state.key_id = caller.key_id
    request.state.caller = caller


async def _caller(request: Request) -> Caller:
    """Return the caller. A header counts before a cookie. Raises Unauthenticated, NotJudged and Refusal."""
    callers, authorization = console_context.of_request(request).callers, request.headers.get("authorization")
    cookie = session_cookie.value(request)
    if authorization is not None or cookie is None:
        return await callers.authenticator.caller(authorization)
    session_cookie.refuse_other_sites(request)
    try:
        session = callers.sessions.read(cookie)
    except NoCookieKeys:
        session = None
    if session is None:
        raise Unauthenticated("The session has ended. Sign in again.")
    return await callers.authenticator.referred(session.reference)


def caller_of(request: Request) -> Caller:
    """Return the caller, once it is authenticated."""
    caller: Caller = request.state.caller
    return caller


class _StrictQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoQuery(_StrictQuery):
    """The query of a route without parameters."""


class ObjectQuery(_StrictQuery):
    """The query of one object."""

    namespace: Annotated[str, Field(pattern=f"^{DNS_LABEL}$")] = "default"


ObjectParams = Annotated[ObjectQuery, Query()]


class ChangeQuery(_StrictQuery):
    """The query of a change."""

    dry_run: Annotated[
        Literal["All"] | None,
        Field(alias="dryRun", description="``All``: nothing is changed; the answer is that of the change."),
    ] = None

    @property
    def is_dry_run(self) -> bool:
        """Return True if the change is only tried."""
        return self.dry_run is not None


class WriteQuery(ObjectQuery, ChangeQuery):
    """The query of a change of one object."""


WriteParams = Annotated[WriteQuery, Query()]


class FollowQuery(ObjectQuery):
    """The query of a run's event stream."""

    after: Annotated[
        int | None,
        Field(
            ge=0,
            description="Characters of the answer that the caller has: ``after`` of its last ``delta`` event. With it the stream has "
            "the rest of the answer in any case. The header ``Last-Event-ID`` does the same.",
        ),
    ] = None

    def position(self, last_event_id: str | None) -> int | None:
        """Return the characters that the caller has, as ``after`` or the header ``Last-Event-ID`` say, whichever are more."""
        text = last_event_id or ""
        known = [int(text)] if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else []
        return max([*known, *([] if self.after is None else [self.after])], default=None)


class ListQuery(_StrictQuery):
    """The query of a list."""

    namespace: Annotated[str, Field(pattern=f"^({DNS_LABEL})?$", description="Omitted or empty: all namespaces.")] = ""

    @property
    def namespace_or_all(self) -> str | None:
        """Return the namespace, or None for all namespaces."""
        return self.namespace or None


class PageQuery(ListQuery):
    """The query of one page of a list."""

    limit: Annotated[int, Field(ge=1, le=500, description="Maximum number of objects in the page.")] = 100
    continue_: Annotated[
        str, Field(alias="continue", max_length=4096, description="``metadata.continue`` of the previous page.")
    ] = ""


class RunsQuery(ListQuery):
    """The query of runs, and which of them."""

    instance: Annotated[InstanceName, Field(description="Only runs of this instance.")] = None
    phase: Annotated[Phase | None, Field(description="Only runs in this phase.")] = None
    source: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
            description="Only runs created by this source: ``web-proxy``, ``mcp``, ``api`` or ``schedule``.",
        ),
    ] = None
    before: Annotated[
        str | None, Field(max_length=512, description="With ``newest``: ``metadata.before`` of the previous page.")
    ] = None
    start: Annotated[Literal["warm", "cold"] | None, Field(description="With ``newest``: only such starts.")] = None
    error: Annotated[Text, Field(description="With ``newest``: only runs with this type of error.")] = None
    key: Annotated[Text, Field(description="With ``newest``: only runs of the API key with this id.")] = None
    session: Annotated[Text, Field(description="With ``newest``: only runs with this ``spec.sessionKey``.")] = None
    user: Annotated[Text, Field(description="With ``newest``: only runs for this user.")] = None
    q: Annotated[Text, Field(description="With ``newest``: only runs with this in their name.")] = None


class RunPageQuery(PageQuery, RunsQuery):
    """The query of one page of runs."""

    order: Annotated[
        Literal["name", "newest"],
        Field(
            description="``name``: by namespace and name. ``newest``: those that were accepted last first, from the index."
        ),
    ] = "name"
    since: Annotated[
        Moment | None, Field(description="With ``newest``: only runs accepted at this time or later (RFC 3339).")
    ] = None
    until: Annotated[
        Moment | None, Field(description="With ``newest``: only runs accepted before this time (RFC 3339).")
    ] = None


@dataclass
class _Body:
    """Body of a request, once it is read and parsed."""

    raw: bytes | None = None
    content: dict[str, Any] | None = None


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body, which is parsed once; raise Refusal 415, 413 or 400."""
    body = request_state.attached(request, _Body)
    if body.content is None:
        body.content = _parse_object(await json_bytes(request))
    return body.content


async def json_bytes(request: Request) -> bytes:
    """Return the bytes of a JSON body, which is read once; raise Refusal 415 or 413."""
    body = request_state.attached(request, _Body)
    if body.raw is None:
        body.raw = await _read_bytes(request)
    return body.raw


def release_body(request: Request) -> None:
    """Keep the body no longer, because the request may wait for minutes and needs it no more."""
    body, state = request_state.attached(request, _Body), request_state.of(request)
    body.raw = body.content = None
    console_context.of_request(request).instance_runs.budget.add(-state.held_bytes)
    state.held_bytes = 0


async def _read_bytes(request: Request) -> bytes:
    limit = console_context.of_request(request).settings.max_body_bytes
    try:
        return await json_body.read_json_bytes(request, limit=limit, on_bytes=partial(hold, request))
    except json_body.NotJson as error:
        message = "Send the body as 'Content-Type: application/json' or 'application/yaml'."
        raise Refusal(415, "UnsupportedMediaType", message) from error
    except json_body.TooLarge as error:
        raise Refusal(413, "RequestEntityTooLarge", f"The body is larger than {limit} bytes.") from error


def hold(request: Request, size: int) -> None:
    """Count bytes of a body until its request ends. Raises Refusal 503 if this process holds as many of others as it may."""
    budget, state = console_context.of_request(request).instance_runs.budget, request_state.of(request)
    if budget.used - state.held_bytes >= budget.limit:
        raise refusals.overloaded()
    budget.add(size)
    state.held_bytes += size


def _parse_object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content, parse_constant=_refuse_constant)
        json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair is JSON that cannot be stored
    except json.JSONDecodeError as error:
        raise Refusal(400, "BadRequest", f"The body is not JSON: {error}.") from error
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "BadRequest", "The body is not JSON that can be stored.") from error
    if not isinstance(body, dict):
        raise Refusal(400, "BadRequest", "The body is not a JSON object.")
    return body


def _refuse_constant(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")

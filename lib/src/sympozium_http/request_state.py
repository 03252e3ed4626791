"""State of one request, shared by the layers and the routes that the request passes."""

import time
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.requests import HTTPConnection
from starlette.types import Scope

from sympozium_http.tracing import Span

_State = TypeVar("_State")


@dataclass
class RequestState:
    """State of one request. The outermost layer fills in what is known at the start, and the routes add the rest."""

    request_id: str = ""
    """The caller's ``x-request-id`` or a generated one: in the answer, the log line and the run's annotations."""
    started: float = field(default_factory=time.monotonic)
    """Arrival of the request, on the monotonic clock."""
    span: Span = field(default_factory=lambda: Span(None))
    key_id: str | None = None
    """Name of the caller's key, never the key; None until the caller is authenticated."""
    refused_key_id: str | None = None
    """Name of a key that was valid once and is not any more, of a caller that is refused."""
    scopes: tuple[str, ...] | None = None
    """Scopes of the caller's access token; None: the caller has a key, which has no scopes."""
    answer_headers: dict[str, str] = field(default_factory=dict)
    """Headers that every answer carries from the moment they are known: the rate limit's, and the fields that were left out."""
    held_bytes: int = 0
    """Bytes that are counted for this request in the process's ByteBudget."""
    log_fields: dict[str, str] = field(default_factory=dict)
    """Further fields of the request's log line. No content."""

    @property
    def caller(self) -> str:
        """Name of the authenticated caller's key. Raises LookupError before authentication, so that no route forgets it."""
        if self.key_id is None:
            raise LookupError("the request's caller is not authenticated")
        return self.key_id


def of(source: HTTPConnection | Scope) -> RequestState:
    """Return the state of a request or of its ASGI scope, which lasts as long as the request."""
    return attached(source, RequestState)


def attached(source: HTTPConnection | Scope, kind: type[_State]) -> _State:
    """Return the one state of this kind that belongs to a request, made on the first call."""
    entries = (source.scope if isinstance(source, HTTPConnection) else source).setdefault("state", {})
    state: _State | None = entries.get(kind.__name__)
    if state is None:
        state = entries[kind.__name__] = kind()
    return state

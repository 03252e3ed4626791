"""ASGI layer of every dialect that writes the outcomes of changes, and refused calls, into the audit."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_archive.audit_log import AuditEntry
from sympozium_domain.audit.audit_trail import ChangeAudit, OpenChange
from sympozium_http import request_state

RefusedEntry = Callable[[Request, int], AuditEntry | None]
"""Returns the entry of a request that was answered with a status without a change; None: it has none."""


@dataclass
class _AuditState:
    """State of a request: the change that it may make."""

    change: OpenChange | None = None


def open_change(request: Request, change: OpenChange) -> None:
    """Keep the change that a request makes, so that its outcome is recorded with the answer."""
    request_state.attached(request, _AuditState).change = change


class AuditedAnswers:
    """Layer that records the outcome of each change before its answer is sent, and calls that are refused.

    A change whose process dies, or whose caller leaves before an answer begins, keeps its first row and has no outcome.
    """

    def __init__(self, app: ASGIApp, audit: ChangeAudit, refused: RefusedEntry) -> None:
        self._app = app
        self._audit = audit
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_audited(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._record(Request(scope), message["status"])
            await send(message)

        await self._app(scope, receive, send_audited)

    async def _record(self, request: Request, status: int) -> None:
        state = request_state.of(request)
        change = request_state.attached(request, _AuditState).change
        if change is not None:
            await self._audit.end(change, status)
        elif (state.key_id or state.refused_key_id) and (entry := self._refused(request, status)) is not None:
            self._audit.refuse(entry, status)

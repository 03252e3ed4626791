"""The answer to an exception that no route expects."""

from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class InternalErrorAnswer:
    """ASGI layer that answers an unexpected exception with ``answer`` and raises it again, so that the server logs its traceback.

    It stands inside the access log, which then sees this answer like any other; Starlette's own handler would stand outside.
    """

    def __init__(self, app: ASGIApp, answer: Callable[[Request], Response]) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        has_begun = False

        async def observed(message: Message) -> None:
            nonlocal has_begun
            has_begun = has_begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except ClientDisconnect:
            raise
        except Exception:
            if scope["type"] == "http" and not has_begun:
                await self._answer(Request(scope))(scope, receive, send)
            raise

"""The answer to an exception that no route expects, and what the layer around it sees of it."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sympozium_http.internal_error import InternalErrorAnswer


class Statuses:
    """Records the status of each answer that passes."""

    def __init__(self, app: ASGIApp, seen: list[int]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._seen.append(message["status"])
            await send(message)

        await self._app(scope, receive, observed)


async def fail(_: Request) -> Response:
    raise LookupError("a bug")


async def fail_late(_: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError("a bug")

    return StreamingResponse(pieces())


async def get(path: str, *, raise_app_exceptions: bool = False) -> tuple[list[int], httpx2.Response]:
    seen: list[int] = []
    app = Starlette(
        routes=[Route("/", fail), Route("/late", fail_late)],
        middleware=[
            Middleware(Statuses, seen=seen),
            Middleware(InternalErrorAnswer, answer=lambda _: PlainTextResponse("sorry", 500)),
        ],
    )
    transport = httpx2.ASGITransport(app, raise_app_exceptions=raise_app_exceptions)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as http:
        return seen, await http.get(path)


async def test_it_passes_the_layers_outside_like_any_other_answer() -> None:
    seen, response = await get("/")
    assert (response.status_code, response.text) == (500, "sorry")
    assert seen == [500]


async def test_the_server_gets_the_exception_to_log_it() -> None:
    with pytest.raises(LookupError, match="a bug"):
        await get("/", raise_app_exceptions=True)


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    seen, response = await get("/late")
    assert response.status_code == 200
    assert seen == [200]

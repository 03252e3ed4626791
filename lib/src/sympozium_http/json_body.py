"""JSON bodies of requests, read within bounds."""

from collections.abc import Callable

from starlette.requests import Request


class NotJson(Exception):
    """The request's content type is not JSON."""


class TooLarge(Exception):
    """The body is longer than the server accepts."""


async def read_json_bytes(request: Request, *, limit: int, on_bytes: Callable[[int], None] = lambda _: None) -> bytes:
    """Return the body of a JSON request; ``on_bytes`` is called with the length of each piece, and may refuse it.

    Raises NotJson, and TooLarge as soon as the body is known to be longer than ``limit`` bytes.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise NotJson
    return await read_bytes(request, limit=limit, on_bytes=on_bytes)


async def read_bytes(request: Request, *, limit: int, on_bytes: Callable[[int], None] = lambda _: None) -> bytes:
    """Return the body of a request, whatever its content type, as ``read_json_bytes`` does. Raises TooLarge."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge
    body = bytearray()
    async for chunk in request.stream():
        on_bytes(len(chunk))
        body += chunk
        if len(body) > limit:
            raise TooLarge
    return bytes(body)

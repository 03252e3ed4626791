"""Reading a request's body within bounds."""

from starlette.requests import Request


class NotJson(Exception):
    """The body is not sent as JSON."""


class TooLarge(Exception):
    """The body is longer than it may be."""


async def read_json_bytes(request: Request, *, limit: int) -> bytes:
    """The body of a JSON request; raises NotJson, and TooLarge as soon as it is known to be longer than ``limit`` bytes."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise NotJson
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge
    return bytes(body)

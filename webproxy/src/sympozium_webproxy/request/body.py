"""Bodies of requests, read within bounds."""

from starlette.requests import Request

from sympozium_http import json_body
from sympozium_http.refusal import Refusal


async def read_json_bytes(request: Request, *, limit: int) -> bytes:
    """Return the body of a JSON request. Raises Refusal 415, and 413 as soon as it exceeds ``limit`` bytes."""
    try:
        return await json_body.read_json_bytes(request, limit=limit)
    except json_body.NotJson as error:
        message = "Send the body as 'Content-Type: application/json'."
        raise Refusal(415, "unsupported_media_type", message) from error
    except json_body.TooLarge as error:
        raise Refusal(413, "body_too_large", f"The body is larger than {limit} bytes.") from error

"""Bodies of requests, read within bounds."""

from functools import partial

from starlette.requests import Request

from sympozium_http import json_body
from sympozium_http.refusal import Refusal
from sympozium_webproxy.request import held


async def read_json_bytes(request: Request, *, limit: int) -> bytes:
    """Return the body of a JSON request. Raises Refusal 415, 413 as soon as it exceeds ``limit`` bytes, and 503.

    Until ``held.keep``, or the end of the request, the process counts what the body takes once it is parsed.
    """
    try:
        body = await json_body.read_json_bytes(request, limit=limit, on_bytes=partial(held.hold, request))
    except json_body.NotJson as error:
        message = "Send the body as 'Content-Type: application/json'."
        raise Refusal(415, "unsupported_media_type", message) from error
    except json_body.TooLarge as error:
        raise Refusal(413, "body_too_large", f"The body is larger than {limit} bytes.") from error
    held.hold(request, held.parsed_size(body) - len(body))
    return body

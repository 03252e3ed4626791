"""Reading a request's body within bounds."""

from starlette.requests import Request

from sympozium_webproxy.protocol.openai.errors import OpenAIError


async def read_json_bytes(request: Request, *, limit: int) -> bytes:
    """The body of a JSON request; raises OpenAIError 415, and 413 as soon as it is known to be longer than ``limit`` bytes."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise OpenAIError(415, "Send the body as 'Content-Type: application/json'.", code="unsupported_media_type")
    too_large = OpenAIError(413, f"The body is larger than {limit} bytes.", code="body_too_large")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)

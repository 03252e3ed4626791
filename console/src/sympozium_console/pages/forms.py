"""Forms that a page sends."""

from urllib.parse import parse_qsl

from fastapi import Request

from sympozium_console import console_context
from sympozium_http.refusal import Refusal

_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 1000


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form, the last value of each. Raises Refusal 415, 413 and 400."""
    return dict(await read_fields(request))


async def read_fields(request: Request) -> list[tuple[str, str]]:
    """Return the fields of a form in their order. Raises Refusal 415, 413 and 400."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise Refusal(415, "UnsupportedMediaType", f"Send the form as 'Content-Type: {_TYPE}'.")
    limit, body = console_context.of_request(request).settings.max_body_bytes, bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Refusal(413, "RequestEntityTooLarge", f"The form is larger than {limit} bytes.")
    try:
        text = body.decode()
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise Refusal(
            400, "BadRequest", "The form cannot be read: it has to be UTF-8, with at most 1,000 fields."
        ) from error
    return [(name, value.replace("\r\n", "\n")) for name, value in fields]

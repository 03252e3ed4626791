"""Forms that a page sends."""

from urllib.parse import parse_qsl

from fastapi import Request

from sympozium_console import console_context
from sympozium_console.routes.params import hold
from sympozium_http.refusal import Refusal

_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 1000


async def read_form(request: Request, *, most: int | None = None) -> dict[str, str]:
    """Return the fields of a form, the last value of each. Raises as ``read_fields`` does."""
    return dict(await read_fields(request, most=most))


async def read_fields(request: Request, *, most: int | None = None) -> list[tuple[str, str]]:
    """Return the fields of a form in their order. ``most``: bytes of a form, else as many as of any body. They are counted until the
    request ends. Raises Refusal 415, 413, 400, and 503 if this process holds as many of others as it may.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise Refusal(415, "UnsupportedMediaType", f"Send the form as 'Content-Type: {_TYPE}'.")
    limit, body = most or console_context.of_request(request).settings.max_body_bytes, bytearray()
    async for chunk in request.stream():
        hold(request, len(chunk))
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

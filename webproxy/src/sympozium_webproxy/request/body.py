"""Bodies of requests, read within bounds."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from starlette.requests import Request

from sympozium_api.json_members import MAX_VALUES, count_values
from sympozium_http import json_body
from sympozium_http.refusal import Refusal
from sympozium_webproxy import context
from sympozium_webproxy.request import held

Parsed = TypeVar("Parsed")
Made = TypeVar("Made")

_LARGE_BYTES = 1024 * 1024
"""Bytes of a body above which it takes tens of milliseconds to parse."""


def max_bytes(request: Request) -> int:
    """Return the most bytes of a body: those of the instance, but no more than this web-proxy is set to accept."""
    parts = context.of(request)
    instance, ceiling = parts.instance_cache.instance, parts.settings.max_body_bytes
    return min((instance and instance.spec.web_endpoint.max_body_bytes) or ceiling, ceiling)


async def read_json_bytes(request: Request) -> bytes:
    """Return the body of a JSON request. Raises Refusal 415, 413 as soon as it exceeds ``max_bytes``, and 503.

    Until ``held.keep``, or the end of the request, the process counts what the body takes once it is parsed.
    """
    limit = max_bytes(request)
    try:
        body = await json_body.read_json_bytes(request, limit=limit, on_bytes=partial(held.hold, request))
    except json_body.NotJson as error:
        message = "Send the body as 'Content-Type: application/json'."
        raise Refusal(415, "unsupported_media_type", message) from error
    except json_body.TooLarge as error:
        raise Refusal(413, "body_too_large", f"The body is larger than {limit} bytes.") from error
    if not is_large(body):
        held.hold(request, held.parsed_size(body, count_values(body)) - len(body))
        return body
    if (values := await asyncio.to_thread(count_values, body)) > MAX_VALUES:
        raise Refusal(413, "body_too_large", f"The body holds more than {MAX_VALUES} values.")
    await held.hold_long(request, await asyncio.to_thread(held.parsed_size, body, values))
    return body


async def parse(parser: Callable[[bytes], Parsed], body: bytes) -> Parsed:
    """Return what a parser makes of a body: of a large one in a thread, so that other callers are answered between its steps."""
    return await in_thread_if(is_large(body), partial(parser, body))


def is_large(body: bytes) -> bool:
    """Return whether a body takes so long that what is made of it is made in a thread."""
    return len(body) > _LARGE_BYTES


async def in_thread_if(takes_long: bool, work: Callable[[], Made]) -> Made:  # noqa: FBT001 - it reads as a condition
    """Return what some work makes: in a thread if it takes long."""
    return await asyncio.to_thread(work) if takes_long else work()

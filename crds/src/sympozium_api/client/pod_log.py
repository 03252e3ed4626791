"""The log of a pod, as text and line by line."""

import codecs
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import aiohttp

from sympozium_api.client.api_errors import ApiUnavailable
from sympozium_api.client.responses import parse_response
from sympozium_api.client.rest import Client
from sympozium_api.resources import PODS

_SILENCE_SECONDS = 24 * 3600.0
_LINE = 1024 * 1024
"""Characters after which a line that does not end is given."""


async def log_text(client: Client, namespace: str, pod: str, params: Mapping[str, str]) -> AsyncGenerator[str, None]:
    """Yield a pod's log as it comes, after an empty text once the API server has accepted the request; with ``follow`` among the API
    server's ``params`` until the pod ends. The text is not safe for a terminal. Raises ApiError, not_found if the pod is gone, and
    ApiUnavailable.
    """
    path = PODS.path(namespace, pod, "log")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    try:
        async with client.stream(path, dict(params), silence=_SILENCE_SECONDS, accept="*/*") as response:
            if response.status >= 400:
                parse_response(response.status, await response.read(), is_read=True)
            yield ""
            async for chunk in response.content.iter_any():
                yield decoder.decode(chunk)
    except (aiohttp.ClientError, OSError) as error:
        raise ApiUnavailable(f"the log of pod {pod}: {error or type(error).__name__}") from error


async def log_lines(client: Client, namespace: str, pod: str, params: Mapping[str, str]) -> AsyncGenerator[str, None]:
    """Yield the lines of what ``log_text`` yields."""
    rest = ""
    async with aclosing(log_text(client, namespace, pod, params)) as pieces:
        async for piece in pieces:
            *lines, rest = (rest + piece).split("\n")
            lines, rest = (lines, rest) if len(rest) < _LINE else ([*lines, rest], "")
            for line in lines:
                yield line
    if rest:
        yield rest

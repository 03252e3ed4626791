"""The log of a pod, line by line."""

import codecs
from collections.abc import AsyncGenerator, Mapping

from sympozium_api.client import Client
from sympozium_api.client.responses import parse_response
from sympozium_api.resources import PODS

_SILENCE_SECONDS = 24 * 3600.0
_LINE = 1024 * 1024
"""Characters after which a line that does not end is given."""


async def log_lines(client: Client, namespace: str, pod: str, params: Mapping[str, str]) -> AsyncGenerator[str, None]:
    """Yield the lines of a pod's log; with ``follow`` among the API server's ``params`` until the pod ends. The lines are not safe
    for a terminal. Raises ApiError, not_found if the pod is gone, and ApiUnavailable.
    """
    path = PODS.path(namespace, pod, "log")
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    async with client.stream(path, dict(params), silence=_SILENCE_SECONDS, accept="*/*") as response:
        if response.status >= 400:
            parse_response(response.status, await response.read(), is_read=True)
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            lines, rest = (lines, rest) if len(rest) < _LINE else ([*lines, rest], "")
            for line in lines:
                yield line
    if rest:
        yield rest

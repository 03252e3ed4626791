"""The response of a run in chat completions and legacy completions: one JSON body, or chunks as server-sent events."""

from collections.abc import Callable

from fastapi import Request, Response

from sympozium_api.agent_records import Done
from sympozium_http import request_state
from sympozium_openai.bodies import JsonObject
from sympozium_openai.chunk_frames import ChunkFrames, ChunkSource
from sympozium_openai.run_response import StreamedResponse, WholeResponse, run_headers
from sympozium_runs.runs import RunHandle
from sympozium_webproxy import context
from sympozium_webproxy.request import held


def respond(
    request: Request,
    handle: RunHandle,
    headers: dict[str, str],
    *,
    whole: Callable[[Done], JsonObject],
    chunks: ChunkSource | None,
) -> Response:
    """Return the response that follows a run: streamed as ``chunks``, or ``whole`` at its end."""
    held.keep(request, 0)  # the run has the body
    parts, began = context.of(request), request_state.of(request).started
    headers |= run_headers(handle.run)
    if chunks is None:
        return WholeResponse(handle, whole, headers, began=began)
    return StreamedResponse(
        handle,
        ChunkFrames(chunks),
        headers,
        began=began,
        keep_alive_seconds=parts.settings.keep_alive_seconds,
    )

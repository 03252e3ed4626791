"""POST /v1/chat/completions."""

from functools import partial

from fastapi import APIRouter, Request, Response

from sympozium_api.records import Record
from sympozium_runs.runs import RunRequest
from sympozium_webproxy import context
from sympozium_webproxy.protocol import sse
from sympozium_webproxy.protocol.openai import chat, errors, models
from sympozium_webproxy.routes.admission import admit, authenticate
from sympozium_webproxy.routes.answer import StreamedResponse, WholeResponse
from sympozium_webproxy.routes.body import read_json_bytes
from sympozium_webproxy.routes.start import idempotency_key, start

router = APIRouter()


@router.post("/v1/chat/completions")
async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation: one run, one fresh pod."""
    parts = context.of(request)
    key_id = authenticate(request)
    asked, body = chat.parse(await read_json_bytes(request, limit=parts.settings.max_body_bytes))
    serving, headers = admit(request, key_id)
    models.check(serving.instance, asked.model)
    handle = await start(request, serving, RunRequest(body, "web-proxy", key_id, idempotency_key(request)))
    head = chat.Head(handle.name, int(parts.clock.now().timestamp()), serving.instance.spec.agents.default.model)
    headers["x-sympozium-run"] = handle.name
    if not asked.stream:
        return WholeResponse(handle, partial(chat.completion, head), headers, began=request.state.started)
    return StreamedResponse(
        handle,
        _Frames(chat.Chunks(head, asked.include_usage)),
        headers,
        began=request.state.started,
        keep_alive_seconds=parts.settings.keep_alive_seconds,
        metrics=parts.metrics,
    )


class _Frames:
    """Records as frames of chunks."""

    def __init__(self, chunks: chat.Chunks) -> None:
        self._chunks = chunks

    def opening(self) -> None:
        """Nothing: the first chunk is the model's."""

    def of(self, record: Record | None) -> bytes:
        """What a record, or silence, is to the caller."""
        if record is None:
            return sse.KEEP_ALIVE
        match record["type"]:
            case "delta":
                return sse.data(self._chunks.delta(record))
            case "done":
                return b"".join(map(sse.data, self._chunks.end(record))) + sse.DONE
            case "error":
                return sse.data(errors.of_run(record["error"]).body)
        return b""

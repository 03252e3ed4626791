"""POST /v1/chat/completions."""

from functools import partial

from fastapi import APIRouter, Request, Response

from sympozium_runs.run_request import RunRequest
from sympozium_webproxy import context
from sympozium_webproxy.protocol.openai import bodies, chat, models
from sympozium_webproxy.routes.admission import authenticate, limit
from sympozium_webproxy.routes.body import read_json_bytes
from sympozium_webproxy.routes.chunks import respond
from sympozium_webproxy.routes.deadline import wait_seconds
from sympozium_webproxy.routes.start import idempotency_key, start

router = APIRouter()


@router.post("/v1/chat/completions", openapi_extra=bodies.documented(chat.ChatRequest))
async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation: one run, one fresh pod."""
    parts = context.of(request)
    key_id = await authenticate(request)
    asked, body = chat.parse(await read_json_bytes(request, limit=parts.settings.max_body_bytes))
    serving, headers = limit(request, key_id)
    model = models.chosen(serving.instance, asked.model)
    run = RunRequest(
        body, "web-proxy", key_id, idempotency_key(request), model=model, wait_seconds=wait_seconds(request)
    )
    handle = await start(request, serving, run, streamed=bool(asked.stream))
    head = chat.Head(handle.name, int(parts.clock.now().timestamp()), model)
    chunks = chat.Chunks(head, asked.include_usage) if asked.stream else None
    return respond(request, handle, headers, whole=partial(chat.completion, head), chunks=chunks)

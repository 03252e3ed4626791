"""POST /v1/chat/completions."""

from functools import partial

from fastapi import APIRouter, Request, Response

from sympozium_openai import bodies, chat
from sympozium_webproxy.request import left_out
from sympozium_webproxy.request.authentication import authenticate, limit
from sympozium_webproxy.request.body import parse, read_json_bytes
from sympozium_webproxy.routes.openai.chunked_response import respond
from sympozium_webproxy.routes.openai.completion_run import start_completion

router = APIRouter()


@router.post("/v1/chat/completions", openapi_extra=bodies.documented(chat.ChatRequest))
async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation with one run in one fresh pod."""
    key_id = await authenticate(request)
    content = await read_json_bytes(request)
    served, headers = limit(request, key_id, finds_runs=True)
    params, body = await parse(chat.parse, content)
    left_out.tell(request, [*body.ignored, *left_out.lowered(served.instance, body.value)])
    handle, head = await start_completion(request, served, key_id, params, body)
    chunks = chat.ChatChunks(head, params.include_usage) if params.stream else None
    return respond(request, handle, headers, whole=partial(chat.completion, head), chunks=chunks)

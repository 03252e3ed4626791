"""POST /v1/completions: a prompt continued by a run like any other."""

from functools import partial

from fastapi import APIRouter, Request, Response

from sympozium_openai import bodies, completions
from sympozium_webproxy.request import left_out
from sympozium_webproxy.request.authentication import authenticate, limit
from sympozium_webproxy.request.body import parse, read_json_bytes
from sympozium_webproxy.routes.openai.chunked_response import respond
from sympozium_webproxy.routes.openai.completion_run import start_completion

router = APIRouter()


@router.post("/v1/completions", openapi_extra=bodies.documented(completions.CompletionRequest))
async def create_completion(request: Request) -> Response:
    """Continue a prompt with one run in one fresh pod."""
    key_id = await authenticate(request)
    content = await read_json_bytes(request)
    served, headers = limit(request, key_id, finds_runs=True)
    params, body = await parse(completions.parse, content)
    left_out.tell(request, [*body.ignored, *left_out.lowered(served.instance, body.value)])
    if served.instance.spec.memory.system_prompt or served.skills:
        raise bodies.unsupported("prompt", "a completion cannot carry this instance's system prompt and skills")
    handle, head = await start_completion(request, served, key_id, params, body)
    chunks = completions.TextChunks(head, include_usage=params.include_usage) if params.stream else None
    return respond(request, handle, headers, whole=partial(completions.completion, head), chunks=chunks)

"""POST /v1/chat/completions."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_runs.runs import Handle, KeyReused, RunRequest
from sympozium_runs.tracing import RunFacts
from sympozium_webproxy import context
from sympozium_webproxy.endpoint import Serving
from sympozium_webproxy.observation import Observation
from sympozium_webproxy.protocol.openai import chat, errors, models
from sympozium_webproxy.routes.admission import admit, authenticate
from sympozium_webproxy.routes.answer import ChunkResponse, CompletionResponse
from sympozium_webproxy.routes.body import read_json_bytes

router = APIRouter()


@router.post("/v1/chat/completions")
async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation: one run, one fresh pod."""
    parts = context.of(request)
    key_id = authenticate(request)
    asked, body = chat.parse(await read_json_bytes(request, limit=parts.settings.max_body_bytes))
    serving, headers = admit(request, key_id)
    models.check(serving.instance, asked.model)
    run = RunRequest(body, "web-proxy", key_id, _idempotency_key(request), request.state.request_id)
    handle = await _observed(request, serving, run, streamed=bool(asked.stream))
    request.state.run = handle.name
    head = chat.Head(handle.name, int(parts.clock.now().timestamp()), serving.instance.spec.agents.default.model)
    headers["x-sympozium-run"] = handle.name
    if not asked.stream:
        return CompletionResponse(handle, head, headers, began=request.state.started)
    return ChunkResponse(
        handle,
        head,
        headers,
        began=request.state.started,
        include_usage=asked.include_usage,
        keep_alive_seconds=parts.settings.keep_alive_seconds,
    )


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 255:
        raise errors.OpenAIError(400, "Idempotency-Key must have 1 to 255 characters.", param="Idempotency-Key")
    return key


async def _observed(request: Request, serving: Serving, run: RunRequest, *, streamed: bool) -> Handle:
    """The started run, measured from here on."""
    facts = RunFacts.of(serving.instance, run.key_id)
    seen = Observation(
        context.of(request).metrics, request.state.span.run(facts), began=request.state.started, streamed=streamed
    )
    try:
        handle = await _start(request, serving, replace(run, trace=seen.span.context))
    except BaseException:
        seen.close()
        raise
    seen.span.named(handle.name)
    handle.observe(seen)
    return handle


async def _start(request: Request, serving: Serving, run: RunRequest) -> Handle:
    try:
        return await context.of(request).runs.start(serving.instance, run)
    except KeyReused as error:
        message = "This Idempotency-Key was used before with another request."
        raise errors.OpenAIError(422, message, param="Idempotency-Key", code="idempotency_key_reused") from error
    except ApiUnavailable as error:
        raise errors.unavailable("The cluster's API server cannot be reached.", code="api_unavailable") from error
    except ApiError as error:
        raise errors.OpenAIError(
            502, f"The run was refused: {error.message}", type="server_error", code="run_refused"
        ) from error

"""The run of a chat completion or a legacy completion."""

from fastapi import Request

from sympozium_openai.chat import CompletionHead, ModelBody, Sampling
from sympozium_runs.model_choice import chosen_model
from sympozium_runs.run_request import RunRequest
from sympozium_runs.runs import RunHandle
from sympozium_webproxy.instance_cache import ServedInstance
from sympozium_webproxy.request.deadline import wait_seconds
from sympozium_webproxy.request.start import idempotency_key, start


async def start_completion(
    request: Request, served: ServedInstance, key_id: str, params: Sampling, body: ModelBody
) -> tuple[RunHandle, CompletionHead]:
    """Start the run of a request, and return it with what each part of its response begins with. Raises Refusal."""
    model = chosen_model(served.instance, params.model)
    run = RunRequest(
        body.value,
        "web-proxy",
        key_id,
        idempotency_key(request),
        body_text=body.text,
        model=model,
        wait_seconds=wait_seconds(request),
    )
    handle = await start(request, served, run, streamed=bool(params.stream))
    return handle, CompletionHead(handle.name, int(handle.run.metadata.created.timestamp()), model)

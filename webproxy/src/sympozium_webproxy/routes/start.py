"""Starting the run of a request, whatever protocol it came in."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_runs.runs import Handle, KeyReused, RunRequest
from sympozium_webproxy import context
from sympozium_webproxy.endpoint import Serving
from sympozium_webproxy.protocol.openai import errors


def idempotency_key(request: Request) -> str | None:
    """The request's Idempotency-Key; raises OpenAIError 400."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 255:
        raise errors.OpenAIError(400, "Idempotency-Key must have 1 to 255 characters.", param="Idempotency-Key")
    return key


async def start(request: Request, serving: Serving, run: RunRequest) -> Handle:
    """Make the run of a request, or find the one that its Idempotency-Key made; raises OpenAIError 422, 502 and 503."""
    try:
        with api_away():
            handle = await context.of(request).runs.start(serving.instance, run)
    except KeyReused as error:
        message = "This Idempotency-Key was used before with another request."
        raise errors.OpenAIError(422, message, param="Idempotency-Key", code="idempotency_key_reused") from error
    except ApiError as error:
        raise errors.OpenAIError(
            502, f"The run was refused: {error.message}", type="server_error", code="run_refused"
        ) from error
    request.state.run = handle.name
    return handle


@contextmanager
def api_away() -> Iterator[None]:
    """What is called in here may find the API server away: OpenAIError 503."""
    try:
        yield
    except ApiUnavailable as error:
        raise errors.unavailable("The cluster's API server cannot be reached.", code="api_unavailable") from error

"""The start of a request's run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from starlette.requests import Request

from sympozium_api.agent_protocol import find_unsendable
from sympozium_api.client import ApiError, ApiUnavailable
from sympozium_http import request_state
from sympozium_http.refusal import Refusal
from sympozium_runs.key_attempts import CancelPending, KeyReused
from sympozium_runs.run_queue import QueueFull
from sympozium_runs.run_request import RunRequest
from sympozium_runs.run_tracing import RunFacts, RunSpan
from sympozium_runs.runs import RunHandle
from sympozium_webproxy import context
from sympozium_webproxy.instance_cache import ServedInstance
from sympozium_webproxy.request import held
from sympozium_webproxy.request.authentication import budget_spent
from sympozium_webproxy.run_metrics_observer import RunMetricsObserver


def idempotency_key(request: Request) -> str | None:
    """Return the request's Idempotency-Key. Raises Refusal 400."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 255:
        raise Refusal(400, "", "Idempotency-Key must have 1 to 255 characters.", param="Idempotency-Key")
    return key


async def start(request: Request, served: ServedInstance, run: RunRequest, *, streamed: bool) -> RunHandle:
    """Create a request's run, or find it by its Idempotency-Key, and measure it. Raises Refusal 400, 409, 413, 422, 429, 50x."""
    facts = RunFacts.of(served.instance, run.key_id, model=run.model)
    state = request_state.of(request)
    observer = RunMetricsObserver(
        context.of(request).metrics, RunSpan(state.span, facts), began=state.started, streamed=streamed
    )
    budget = context.of(request).budgets.verdict(run.key_id)
    needs_room = context.of(request).storage.is_full and (await run.prepared()).has_parts
    is_spent = budget is not None and not budget.allowed
    traced = replace(
        run,
        is_retry_only=needs_room or (is_spent and run.idempotency_key is not None),
        key_name=context.of(request).key_limits.display_name(run.key_id),
        key_seconds=context.of(request).settings.key_retention_seconds,
        request_id=state.request_id,
        scopes=state.scopes,
        trace=observer.span.context,
        forwarded=_forwarded(request, served),
    )
    try:
        handle = await _made(request, served, traced, needs_room=needs_room)
    except BaseException:
        observer.close()
        raise
    observer.span.set_run(handle.name)
    handle.attach(observer)
    state.log_fields["run"] = handle.name
    return handle


def _forwarded(request: Request, served: ServedInstance) -> dict[str, str]:
    """Return the caller's headers that the instance forwards to its model. Raises Refusal 400 for one that cannot be sent."""
    wanted = {name.lower() for name in served.instance.spec.agents.default.forward_headers}
    headers = {name: value for name, value in request.headers.items() if name in wanted}
    if (name := find_unsendable(headers)) is not None:
        message = f"The header {name} is forwarded to the model and must hold printable ASCII only."
        raise Refusal(400, "invalid_header", message, param=name)
    return headers


async def _made(request: Request, served: ServedInstance, run: RunRequest, *, needs_room: bool) -> RunHandle:
    try:
        with api_away():
            return await context.of(request).runs.start(served.instance, run, partial(held.hold_texts, request))
    except KeyReused as error:
        message = "This Idempotency-Key was used before with another request."
        raise Refusal(422, "idempotency_key_reused", message, param="Idempotency-Key") from error
    except CancelPending as error:
        message = "The run of this Idempotency-Key was cancelled and is about to end. Repeat the request."
        raise Refusal(409, "run_cancelling", message, param="Idempotency-Key", retry_after=1) from error
    except QueueFull as error:
        if needs_room:
            context.of(request).metrics.refused.labels("storage_full").inc()
            message = "The namespace stores as many bytes of long requests as it may. A shorter request is accepted."
            raise Refusal(503, "storage_full", message, retry_after=60) from error
        if run.is_retry_only and (budget := context.of(request).budgets.verdict(run.key_id)):
            raise budget_spent(request, budget) from error
        context.of(request).metrics.refused.labels("queue_full").inc()
        message = "The instance's queue has no room for another run of this API key."
        raise Refusal(429, "queue_full", message, retry_after=5) from error
    except ApiError as error:
        raise _refused(error) from error


def _refused(error: ApiError) -> Refusal:
    """Return the refusal for an AgentRun that the API server does not accept."""
    if error.too_large:
        return Refusal(413, "body_too_large", "The body is larger than the cluster can store.")
    if error.status == 400 or error.invalid:
        return Refusal(400, "not_storable", f"The request cannot be stored: {error.message}")
    return Refusal(502, "run_refused", f"The run was refused: {error.message}")


@contextmanager
def api_away() -> Iterator[None]:
    """Raise Refusal 503 if the API server cannot be reached inside this context."""
    try:
        yield
    except ApiUnavailable as error:
        raise Refusal(503, "api_unavailable", "The cluster's API server cannot be reached.", retry_after=1) from error

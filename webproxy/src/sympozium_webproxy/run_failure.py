"""Refusals that tell a caller why its run, or its call of the model server, failed."""

from sympozium_api.agent_protocol import RunErrorDetail
from sympozium_http.refusal import Refusal

_CALLERS_FAULT = (400, 404, 409, 413, 415, 422, 429)
"""Statuses by which a model refuses the request itself: kept, because only the caller can correct it."""


def refusal_of(error: RunErrorDetail) -> Refusal:
    """Return the refusal that a run's error becomes.

    A model's refusal of the request keeps its status. The caller can correct neither a refusal of the instance's own
    credentials nor a failure of the model: both become 502. Every other error has the status that the run ended with.
    """
    kind, status, message = error["type"], error["httpStatus"], error["message"]
    if kind == "deadline_exceeded":
        return Refusal(status, kind, message, headers={"x-should-retry": "false"})  # read by OpenAI's SDKs
    if kind == "model_error" and status not in _CALLERS_FAULT and status != 502:
        return Refusal(502, kind, f"the model answered {status}: {message}")
    return Refusal(status, kind, message, retry_after=1 if status in (429, 503) else None)

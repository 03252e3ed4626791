"""Refusals that tell a caller why its run, or its call of the model server, failed."""

from sympozium_api.agent_records import RunErrorDetail
from sympozium_http.refusal import Refusal

ERROR_HEADER = "x-sympozium-error"
_CREDENTIALS = (401, 402, 403)
"""Statuses by which a model refuses the instance's key or account."""
_CALLERS_FAULT = (400, 404, 409, 413, 415, 422, 429)
"""Statuses by which a model refuses the request itself: kept, because only the caller can correct it."""
_OF_A_SECRET = {
    "model_secret_missing": "The model's API key is missing; the run's status.error has the details.",
    "model_secret_refused": "The run may not have its model's API key; the run's status.error has the details.",
}
"""Sentences in place of messages that name a Secret, which is no business of callers."""


def message_of(error: RunErrorDetail) -> str:
    """Return the message of a run's error as its caller gets it."""
    if error["type"] == "model_unreachable":  # the address is the instance's business
        reason = f" ({error['code']})" if "code" in error else ""
        return f"The model cannot be reached{reason}."
    return _OF_A_SECRET.get(error["type"], error["message"])


def refusal_of(error: RunErrorDetail) -> Refusal:
    """Return the refusal that a run's error becomes.

    A model's refusal of the request keeps its status. The caller can correct neither a refusal of the instance's own
    credentials nor a failure of the model: both become 502. Code, type, param and Retry-After are the model's own where it gave
    them, except for credentials, because a caller would take the code for one about its own key. Every other error has the
    status that the run ended with. The run's own type of error is in the header ``x-sympozium-error``.
    """
    kind, status, message = error["type"], error["httpStatus"], message_of(error)
    headers = {ERROR_HEADER: kind}
    if kind == "deadline_exceeded":
        return Refusal(status, kind, message, headers=headers | {"x-should-retry": "false"})  # read by OpenAI's SDKs
    if kind == "model_error":
        return _models_refusal(error, headers)
    return Refusal(status, kind, message, headers=headers, retry_after=1 if status in (429, 503) else None)


def _models_refusal(error: RunErrorDetail, headers: dict[str, str]) -> Refusal:
    kind, status, message = error["type"], error["httpStatus"], error["message"]
    is_callers = status in _CALLERS_FAULT
    if status in _CREDENTIALS:
        return Refusal(502, kind, _with_status(status, message), headers=headers)
    return Refusal(
        status if is_callers else 502,
        error.get("code") or kind,
        message if is_callers or status == 502 else _with_status(status, message),
        param=error.get("param"),
        kind=error.get("modelType"),
        headers=headers,
        retry_after=error.get("retryAfterSeconds", 1 if status == 429 else None),
    )


def _with_status(status: int, message: str) -> str:
    """Return the model's own words with its status, which the message of an answer without words has already."""
    answered = f"The model answered {status}"
    return message if message == f"{answered}." else f"{answered}: {message}"

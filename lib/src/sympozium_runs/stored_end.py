"""The end of a run as it is stored, or as callers are told it where it is not."""

from dataclasses import dataclass

from sympozium_api import agent_protocol, terminal_status
from sympozium_api.agent_records import End
from sympozium_api.client import ApiError


@dataclass(frozen=True)
class StoredEnd:
    """The end of a run as it is stored."""

    record: End
    """The end record that the terminal status means to callers, now and later."""
    is_own: bool
    """True if the pod that just reported its end wrote it; False if the run had ended otherwise before."""
    size: int | None = None
    """Bytes that a long answer takes; None of another end."""


class OtherPodsRun(Exception):
    """The run is not the pod's any more: it was given back, and starts in another pod."""


def refused(refusal: ApiError, record: End) -> End:
    """Return the end to tell callers where an end record is not stored: a failure as it is, instead of an answer an error.

    The error is without the refusal's message, which may quote the answer.
    """
    if record["type"] == "error":
        return terminal_status.as_stored(record)
    if refusal.not_found:
        return agent_protocol.error("lost", "The run was deleted.", 502, record["durationMs"])
    return not_storable(refusal, record["durationMs"])


def not_storable(refusal: ApiError, duration_ms: int) -> End:
    """Return the end of a run whose answer the API server refused, without the refusal's message, which may quote the answer."""
    if refusal.too_large:
        sentence = "The answer and its request together are larger than the cluster can store in one object."
        return agent_protocol.error("answer_too_large", sentence, 502, duration_ms)
    is_content = refusal.invalid or refusal.status == 400
    sentence = f"The cluster {'cannot store the content of' if is_content else 'refuses to store'} the answer."
    return agent_protocol.error("answer_not_storable", sentence, 502, duration_ms)

"""The pod's termination message: the last resort for an end record that no replica of the agent API acknowledged. Pure."""

from __future__ import annotations

import json

from sympozium_api.agent_protocol import UNUSED, error
from sympozium_api.environment import TERMINATION_MESSAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sympozium_api.agent_records import End

_LONGEST_QUOTE = 512
"""Characters of an error's message that fit, however JSON escapes them."""


def unused_message() -> str:
    """Return the message of a pod that never had a task, so that a run that was just bound to the pod may start again."""
    return json.dumps({"type": UNUSED})


def termination_message(end: End) -> str:
    """Return the end record as JSON of at most 4096 bytes, or, if it is longer, an error record that says what was lost."""
    message = _compact(end)
    if len(message) <= TERMINATION_MESSAGE_BYTES:
        return message
    if end["type"] == "error":
        detail = end["error"]
        return _compact(
            error(detail["type"], detail["message"][:_LONGEST_QUOTE], detail["httpStatus"], end["durationMs"])
        )
    lost = "The model answered, but no replica acknowledged the answer, which is too long for a termination message."
    return _compact(error("answer_not_delivered", lost, 502, end["durationMs"]))


def _compact(end: End) -> str:
    return json.dumps(end, separators=(",", ":"))

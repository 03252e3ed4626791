"""The last resort for an end record that no runs surface acknowledged: the pod's termination message. Pure."""

import json

from sympozium_api.agent_protocol import UNUSED, End, error
from sympozium_api.environment import TERMINATION_MESSAGE_BYTES

_LONGEST_QUOTE = 512
"""Characters of an error's message that fit however JSON escapes them."""


def unused_message() -> str:
    """What says that the pod never had a task: its run, if it was just given one, may start anew."""
    return json.dumps({"type": UNUSED})


def termination_message(end: End) -> str:
    """The end record as JSON of at most 4096 bytes, or, where it is longer, an error record that says what was lost."""
    whole = _compact(end)
    if len(whole) <= TERMINATION_MESSAGE_BYTES:
        return whole
    if end["type"] == "error":
        detail = end["error"]
        return _compact(
            error(detail["type"], detail["message"][:_LONGEST_QUOTE], detail["httpStatus"], end["durationMs"])
        )
    lost = (
        "the model answered, but no runs surface acknowledged the answer and it is too long for a termination message"
    )
    return _compact(error("answer_not_delivered", lost, 502, end["durationMs"]))


def _compact(end: End) -> str:
    return json.dumps(end, separators=(",", ":"))

"""The runs of one Idempotency-Key: the first, and those that followed because all before were cancelled. Pure."""

from dataclasses import replace

from sympozium_api import names
from sympozium_api.run import AgentRun
from sympozium_runs.run_request import RunRequest

_MOST_DIGITS = 9


def newest(first: AgentRun) -> int:
    """Return the number of the key's newest run, which may not exist yet, from its first one; 0 where none followed."""
    text = first.metadata.annotations.get(names.ANNOTATION_NEWEST_ATTEMPT, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0


def following(request: RunRequest, first: AgentRun) -> RunRequest:
    """Return the request for a run that follows: its key stands as long as the first run says.

    So the first run, which leads to the others, is kept as long as they are.
    """
    return replace(request, key_expires=first.metadata.annotations.get(names.ANNOTATION_KEY_EXPIRES))

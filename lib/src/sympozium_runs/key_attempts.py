"""The runs of one Idempotency-Key: the first, and those that followed because all before were cancelled. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from sympozium_api import effective, names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.run import AgentRun
from sympozium_api.timestamps import timestamp
from sympozium_runs.run_request import RunRequest

_MOST_DIGITS = 9
_QUEUE_SECONDS = 600
"""Seconds in the queue where the instance says nothing: the default of ``runs.queueTimeout``, which is the operator's setting."""


class KeyReused(Exception):
    """The Idempotency-Key was used before, with another request."""


class CancelPending(Exception):
    """The run of the Idempotency-Key is cancelled and has not ended yet."""


class TurnCancelled(Exception):
    """The run of the session's turn was cancelled. Another turn follows it, whose name only the session knows."""


def newest(first: AgentRun) -> int:
    """Return the number of the key's newest run, which may not exist yet, from its first one; 0 where none followed."""
    text = first.metadata.annotations.get(names.ANNOTATION_NEWEST_ATTEMPT, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0


def following(request: RunRequest, first: AgentRun, instance: SympoziumInstance, now: datetime) -> RunRequest:
    """Return the request for a run that follows: its key stands as long as the first run says, and until this run must have ended.

    So the first run, which leads to the others, is kept as long as they are, once the same time is written on it. While this run is
    open, the operator keeps the first one however long that takes. Raises TurnCancelled for a turn of a session.
    """
    if request.turn is not None:
        raise TurnCancelled
    own = timestamp(now + timedelta(seconds=effective.longest_wait(instance, _QUEUE_SECONDS)))
    expires = first.metadata.annotations.get(names.ANNOTATION_KEY_EXPIRES)
    key_expires = max(expires or timestamp(now + timedelta(seconds=request.key_seconds)), own)
    return replace(request, key_expires=key_expires, first_attempt=first.metadata.name)

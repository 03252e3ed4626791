"""Refusals of requests for a run, in the words of the agent platform API."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from pydantic import ValidationError

from sympozium_api.client import ApiError
from sympozium_domain.agents.agent_runs import NoSuchAgent, NotPublished, Question
from sympozium_domain.instance_runs import InstanceDeleting, Overloaded, StillReading, TooLong, UnreadableInstance
from sympozium_domain.sessions.patience import GivenUp, SessionBusy
from sympozium_domain.sessions.turns import NameTaken
from sympozium_http.refusal import Refusal
from sympozium_platform import errors
from sympozium_runs.key_attempts import CancelPending, KeyReused
from sympozium_runs.run_queue import QueueFull

KEY = "Idempotency-Key"
_RETRY = {"Retry-After": "5"}
_REFUSALS: Mapping[type[Exception], Callable[[], Refusal]] = {
    StillReading: partial(
        errors.unavailable, "still_reading", "This replica has not listed the open runs yet.", retry_after=1
    ),
    Overloaded: partial(
        errors.unavailable, "overloaded", "This replica holds as many bytes of runs as it may.", retry_after=1
    ),
    TooLong: partial(
        errors.refused, 413, "body_too_large", "The message does not fit into one AgentRun.", "input_message"
    ),
    QueueFull: partial(
        errors.refused, 429, "queue_full", "The agent's queue has no room for another run of this key.", headers=_RETRY
    ),
    KeyReused: partial(
        errors.refused, 422, "idempotency_key_reused", f"This {KEY} was used before with another request.", KEY
    ),
    SessionBusy: partial(
        errors.refused,
        409,
        "session_busy",
        "The session's runs before this one have not ended, or too many wait. Repeat the request.",
        "session_id",
        headers=_RETRY,
    ),
    CancelPending: partial(
        errors.refused, 409, "run_cancelling", f"The run of this {KEY} is being cancelled. Repeat the request.", KEY
    ),
    GivenUp: partial(
        errors.unavailable, "stopping", "This replica stops, and the session's run before has not ended.", retry_after=1
    ),
}


@contextmanager
def raised(question: Question) -> Iterator[None]:
    """Raise Refusal for a run that the body of this context does not start; other refusals of the API server pass."""
    try:
        yield
    except tuple(_REFUSALS) as error:
        refusal = _REFUSALS[type(error)]()
        raise refusal from error
    except (NoSuchAgent, InstanceDeleting) as error:
        raise errors.not_found("agent", question.agent_id) from error
    except NotPublished as error:
        raise errors.refused(409, "not_published", str(error), "agent_id") from error
    except UnreadableInstance as error:
        message = f"The agent's SympoziumInstance cannot be read: {error}."
        raise errors.refused(409, "agent_unreadable", message, "agent_id") from error
    except ValidationError as error:
        message = f"A run of this {KEY} or session, or the agent, was written by another version and cannot be read."
        raise errors.refused(409, "run_unreadable", message) from error
    except NameTaken as error:
        message = f"The AgentRun {error} has the name of the session's next run, and is none. Delete it."
        raise errors.refused(409, "session_name_taken", message, "session_id") from error
    except Refusal as refusal:
        code = "policy_denied" if refusal.status == 403 else "model_not_ready"
        raise errors.refused(refusal.status, code, refusal.message, headers=refusal.headers) from refusal
    except ApiError as error:
        if not error.not_found:
            raise
        raise errors.not_found("agent", question.agent_id) from error

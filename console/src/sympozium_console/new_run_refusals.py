"""Refusals of requests for a run, in the console's words."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from pydantic import ValidationError

from sympozium_api.client import ApiError
from sympozium_console import refusals
from sympozium_domain.instance_runs import (
    InstanceDeleting,
    NewRun,
    Overloaded,
    StillReading,
    TooLong,
    UnreadableInstance,
)
from sympozium_domain.sessions.patience import GivenUp, SessionBusy
from sympozium_domain.sessions.turns import NameTaken
from sympozium_http.refusal import Refusal
from sympozium_runs.key_attempts import CancelPending, KeyReused
from sympozium_runs.run_queue import QueueFull

_KEY = "Idempotency-Key"
_REFUSALS: Mapping[type[Exception], Callable[[], Refusal]] = {
    StillReading: partial(
        Refusal, 503, "StillReading", "This replica has not listed the open runs yet.", retry_after=1
    ),
    Overloaded: refusals.overloaded,
    InstanceDeleting: partial(
        Refusal, 409, "InstanceDeleting", "The instance is being deleted, and takes no new runs.", param="agentRef"
    ),
    TooLong: partial(Refusal, 413, "RequestEntityTooLarge", "The request does not fit into one AgentRun."),
    QueueFull: partial(
        Refusal, 429, "QueueFull", "The instance's queue has no room for another run of this caller.", retry_after=5
    ),
    KeyReused: partial(
        Refusal,
        422,
        "IdempotencyKeyReused",
        "This Idempotency-Key was used before with another request.",
        param=_KEY,
    ),
    SessionBusy: partial(
        Refusal,
        409,
        "SessionBusy",
        "The session's turns before this one have not ended, or too many wait. Repeat the request.",
        param="sessionKey",
        retry_after=5,
    ),
    GivenUp: partial(
        Refusal, 503, "Stopping", "This replica stops, and the session's turn before has not ended.", retry_after=1
    ),
    CancelPending: partial(
        Refusal,
        409,
        "RunCancelling",
        "The run of this Idempotency-Key was cancelled and is about to end. Repeat the request.",
        param=_KEY,
        retry_after=1,
    ),
}


@contextmanager
def raised(new: NewRun) -> Iterator[None]:
    """Raise Refusal for a run that the body of this context does not start; refusals of the API server pass."""
    try:
        yield
    except tuple(_REFUSALS) as error:
        refusal = _REFUSALS[type(error)]()
        raise refusal from error
    except UnreadableInstance as error:
        raise refusals.conflict(f"The instance cannot be read: {error}.", reason="InstanceUnreadable") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        fault = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        message = f"The run of this {_KEY}, or of the session's turn before, cannot be read: {fault}. Delete it."
        raise refusals.conflict(message, reason="RunUnreadable") from error
    except NameTaken as error:
        message = f"The AgentRun {error} has the name of the session's next turn, and is none. Delete it."
        raise refusals.conflict(message, reason="TurnNameTaken") from error
    except Refusal as refusal:
        raise _of_model(refusal, new) from refusal
    except ApiError as error:
        if not error.not_found:
            raise
        message = f"There is no instance {new.instance} in namespace {new.namespace}. The parameter namespace selects another one."
        raise Refusal(404, "NotFound", message, param="agentRef") from error


def _of_model(refusal: Refusal, new: NewRun) -> Refusal:
    """Return the refusal of an instance's model."""
    if refusal.status == 404:
        message = (
            f"The instance does not allow the model {new.body.get('model')}."
            " Leave request.model out, or name the instance's own model or one of its allowedModels."
        )
        return Refusal(404, "ModelNotFound", message, param="request.model")
    if refusal.status == 403:
        return Refusal(403, "PolicyDenied", refusal.message, param="request.model")
    return Refusal(503, "ModelNotReady", refusal.message, headers=refusal.headers)

"""Facts of a run from which decisions are tested, and what a decision says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.unit.operator.objects import (
    CREATED,
    instance,
    job_object,
    run,
)

from sympozium_operator.policy.run_action import End
from sympozium_operator.policy.run_input import RunInput, RunLimits, RunSlot

LIMITS = RunLimits(start_timeout=45, queue_timeout=600, failed_job_retention=600)
FRESH = RunInput(now=CREATED, limits=LIMITS, run=run(), instance=instance(), slot=RunSlot(admitted=True))


def seen(seconds: float = 2, **changes: Any) -> RunInput:
    return replace(FRESH, now=CREATED + timedelta(seconds=seconds), **changes)


def with_job(seconds: float = 2, *, pod: Any = None, job: Any = None, **changes: Any) -> RunInput:
    return seen(seconds, job=job or job_object(), pods=() if pod is None else (pod,), **changes)


def error(decision: Any) -> tuple[str, int]:
    assert isinstance(decision, End), decision
    found = decision.record["error"]  # type: ignore[typeddict-item]
    return found["type"], found["httpStatus"]


def message(decision: Any) -> str:
    assert isinstance(decision, End), decision
    return str(decision.record["error"]["message"])  # type: ignore[typeddict-item]

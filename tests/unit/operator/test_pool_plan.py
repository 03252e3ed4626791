"""Plan of a warm pool, case by case."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.operator.objects import CREATED, at

from sympozium_api import names
from sympozium_operator.policy.pool_plan import INSPECT_AFTER, PoolInput, decide

Object = dict[str, Any]

NOW = "0a1b2c3d"
"""The generation that counts."""


def job(number: int, *, generation: str = NOW, deleted: bool = False, **status: Any) -> Object:
    name = names.idle_job("alice", generation, f"{number:06x}")
    metadata = {"name": name, "creationTimestamp": at(0)} | ({"deletionTimestamp": at(1)} if deleted else {})
    return {"metadata": metadata, "status": status}


READY, STARTING, ENDED, FAILED = job(1, ready=1), job(2), job(3, succeeded=1), job(4, failed=1)
OLD, LEAVING = job(5, generation="99999999", ready=1), job(6, deleted=True, ready=1)
EMPTY = PoolInput(now=CREATED, jobs=(), claimed=frozenset(), generation=NOW, target=3, starting=6)


@pytest.mark.parametrize(
    ("jobs", "changes", "missing", "idle"),
    [
        pytest.param((), {}, 3, 0, id="an empty pool is filled"),
        pytest.param((), {"target": 0}, 0, 0, id="a pool without a target is not"),
        pytest.param((), {"starting": 2}, 2, 0, id="no more start at a time than allowed"),
        pytest.param((STARTING,), {"starting": 1}, 0, 0, id="those that start already count"),
        pytest.param((READY,), {"starting": 1}, 1, 1, id="those that are ready do not"),
        pytest.param((READY, STARTING), {}, 1, 1, id="both are a part of the target"),
        pytest.param((OLD, LEAVING, ENDED, FAILED), {}, 3, 0, id="old, leaving and ended ones are not"),
        pytest.param((READY,), {"claimed": frozenset({READY["metadata"]["name"]})}, 3, 0, id="a claimed one is gone"),
        pytest.param((READY, STARTING), {"target": 1}, 0, 1, id="a smaller target makes none"),
    ],
)
def test_a_pool_is_filled_up_to_its_target(
    jobs: tuple[Object, ...], changes: dict[str, Any], missing: int, idle: int
) -> None:
    plan = decide(replace(EMPTY, jobs=jobs, **changes))
    assert (plan.missing, plan.idle) == (missing, idle)


def test_ended_jobs_are_named_unless_a_run_claims_them() -> None:
    facts = replace(EMPTY, jobs=(READY, ENDED, FAILED))
    assert decide(facts).ended == (ENDED, FAILED)
    assert decide(replace(facts, claimed=frozenset({ENDED["metadata"]["name"]}))).ended == (FAILED,)


def test_a_job_whose_pod_is_not_ready_for_long_is_inspected() -> None:
    facts = replace(EMPTY, jobs=(READY, STARTING, LEAVING))
    assert decide(facts).unstarted == ()
    late = CREATED + timedelta(seconds=INSPECT_AFTER)
    assert decide(replace(facts, now=late)).unstarted == (STARTING,)

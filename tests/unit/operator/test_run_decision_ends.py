"""Decisions about runs and pods that have ended, or ran out of time."""

import json
from typing import Any

import pytest
from tests.unit.operator.objects import (
    at,
    job_object,
    pod_object,
    run,
    running,
    terminated,
    waiting,
)
from tests.unit.operator.run_facts import error, message, seen, with_job

from sympozium_operator.policy.run_action import DeleteJob, End, Report, Wait
from sympozium_operator.policy.run_decision import decide


def ended_with(state: dict[str, Any], **status: Any) -> Any:
    return decide(with_job(pod=pod_object(state=state, **({"phase": "Failed"} | status))))


def test_an_end_record_in_the_termination_message_counts() -> None:
    done = {"type": "done", "choices": [], "usage": {}, "durationMs": 3}
    decision = ended_with(terminated(1, message=json.dumps(done)))
    assert isinstance(decision, End)
    assert decision.record == done
    assert decision.pod is not None


@pytest.mark.parametrize("words", ["Traceback", "[]", '{"type":"delta"}'])
def test_other_last_words_are_no_end_record(words: str) -> None:
    assert error(ended_with(terminated(1, message=words))) == ("lost", 502)


@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [
        (terminated(137, reason="OOMKilled"), {}, "OOMKilled"),
        (terminated(3, reason="Error"), {}, "exit code 3"),
        (terminated(0, reason="Completed"), {"phase": "Succeeded"}, "exit code 0"),
        (terminated(137), {"reason": "Evicted", "message": "low on memory"}, "Evicted low on memory"),
        (
            terminated(137),
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "X", "message": "node gone"}]},
            "X node gone",
        ),
    ],
)
def test_a_pod_that_ended_without_a_record_is_lost_and_says_why(state: Any, status: Any, expected: str) -> None:
    decision = ended_with(state, **status)
    assert error(decision) == ("lost", 502)
    assert expected in message(decision)


@pytest.mark.parametrize("kind", ["Failed", "FailureTarget"])
def test_a_job_past_its_deadline_timed_out(kind: str) -> None:
    conditions = [{"type": kind, "status": "True", "reason": "DeadlineExceeded"}]
    assert error(decide(with_job(job=job_object(status={"conditions": conditions})))) == ("timeout", 504)


def test_a_job_that_ended_without_its_pod_is_lost() -> None:
    assert error(decide(with_job(job=job_object(status={"failed": 1})))) == ("lost", 502)


def test_a_pod_that_the_scheduler_never_saw_fails_at_its_start_deadline() -> None:
    assert decide(with_job(599, pod=pod_object(node=None))) == Wait(1)
    assert error(decide(with_job(600, pod=pod_object(node=None)))) == ("start_failed", 503)


def test_time_without_a_node_takes_nothing_from_the_start_or_the_run() -> None:
    placed = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": at(590)}]
    pulling = pod_object(state=waiting("ErrImagePull", "not found"), conditions=placed)
    assert decide(with_job(609, pod=pulling)) == Wait(2.5)
    assert error(decide(with_job(610, pod=pulling))) == ("start_failed", 502)
    works = pod_object(state=running(591), phase="Running", conditions=placed)
    found = run(timeout="1m", status={"phase": "Running"})
    assert decide(with_job(590 + 94, pod=works, run=found)) == Wait(1)
    assert error(decide(with_job(590 + 95, pod=works, run=found))) == ("timeout", 504)


def test_the_deadline_counts_from_the_pods_placement() -> None:
    pod = pod_object(state=running(), phase="Running", created=100)
    job = job_object(created=99)
    late = run(timeout="1m", status={"phase": "Running"})
    assert decide(with_job(194, pod=pod, job=job, run=late)) == Wait(1)
    decision = decide(with_job(195, pod=pod, job=job, run=late))
    assert error(decision) == ("timeout", 504)
    assert isinstance(decision, End)
    assert decision.delete_job


def test_what_a_pod_said_when_it_ended_wins_over_the_deadline() -> None:
    done = {"type": "done", "choices": [], "usage": {}, "durationMs": 3}
    pod = pod_object(state=terminated(1, message=json.dumps(done)), phase="Failed")
    decision = decide(with_job(900, pod=pod))
    assert isinstance(decision, End)
    assert decision.record == done


def test_the_pod_that_has_not_ended_counts_of_two() -> None:
    old = pod_object(state=terminated(1), phase="Failed")
    new = pod_object(state=running(), phase="Running", created=1)
    assert isinstance(decide(seen(job=job_object(), pods=(new, old))), Report)


def test_a_pod_of_another_job_is_not_this_runs() -> None:
    assert decide(with_job(pod=pod_object("q2", state=terminated(1), phase="Failed"))) == Wait(2.5)


@pytest.mark.parametrize("phase", ["Succeeded", "Cancelled"])
def test_the_job_of_an_ended_run_goes_at_once(phase: str) -> None:
    assert decide(seen(run=run(status={"phase": phase}), job=job_object())) == DeleteJob()
    assert decide(seen(run=run(status={"phase": phase}))) == Wait(None)


def failed(seconds: float, **job: Any) -> Any:
    ended = run(status={"phase": "Failed", "completedAt": at(0)})
    return decide(seen(seconds, run=ended, job=job_object(**job)))


def test_the_job_of_a_failed_run_is_kept_for_its_logs() -> None:
    finished = {"failed": 1}
    assert failed(0, status=finished) == Wait(600)
    assert failed(599, status=finished) == Wait(1)
    assert failed(600, status=finished) == DeleteJob()


def test_a_failed_runs_pod_that_does_not_end_is_stopped() -> None:
    assert failed(0) == Wait(10)
    assert failed(10) == DeleteJob()


def test_somebody_elses_job_is_not_deleted() -> None:
    ended = run(status={"phase": "Succeeded"})
    assert decide(seen(run=ended, job=job_object(owner="another"))) == Wait(None)

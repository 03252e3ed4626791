"""The life of a run in mode task, case by case."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.fakes.crd_admission import stored
from tests.unit.operator.objects import (
    CREATED,
    at,
    instance,
    job_object,
    node_object,
    pod_object,
    run,
    run_object,
    running,
    waiting,
)
from tests.unit.operator.run_facts import FRESH, LIMITS, error, message, seen, with_job

from sympozium_api import names
from sympozium_api.run import AgentRun
from sympozium_operator.policy.run_action import End, Offer, Queue, Report, Start, Wait
from sympozium_operator.policy.run_decision import decide, should_inspect_pods, should_read_warnings
from sympozium_operator.policy.run_input import RunSlot


def test_a_new_run_is_started() -> None:
    assert decide(FRESH) == Start(instance(), served=False, deadline=1235)


def test_a_new_run_is_started_without_a_write_of_its_status() -> None:
    body = {name: part for name, part in run_object().items() if name != "status"}
    shown = AgentRun.model_validate(stored("agentruns", body))
    assert [condition.type for condition in shown.status.conditions] == ["Reconciling"]
    assert decide(replace(FRESH, run=shown)) == Start(instance(), served=False, deadline=1235)


WEB: dict[str, Any] = {"webEndpoint": {"enabled": True}}
WARM: dict[str, Any] = {"model": {"warmPool": {"size": 1}}}
QUEUED_7: dict[str, Any] = {"status": {"phase": "Pending", "queuePosition": 7}}
AWAITS: dict[str, Any] = {
    "annotations": {names.ANNOTATION_REPLY_TO: "http://10.0.0.1:8081", names.ANNOTATION_AWAITS_IDLE_POD: "true"}
}
SOON = RunSlot(admitted=True, idle_pod_in=1.5)
POSITION_7 = Queue(15, {"phase": "Pending", "queuePosition": 7})


@pytest.mark.parametrize(
    ("slot", "of_run", "of_instance", "expected"),
    [
        pytest.param(RunSlot(), {}, {}, Queue(2), id="before its turn it waits"),
        pytest.param(RunSlot(position=7, requeue_after=15), {}, {}, POSITION_7, id="a new position is written"),
        pytest.param(RunSlot(position=7, requeue_after=15), QUEUED_7, {}, Queue(15), id="the same position is not"),
        pytest.param(
            RunSlot(requeue_after=15),
            {},
            {"model": {"queueTimeout": "4s"}},
            Queue(2),
            id="not beyond its start deadline",
        ),
        pytest.param(RunSlot(), {}, WEB | WARM, Offer(), id="idle pods are asked before its turn"),
        pytest.param(RunSlot(admitted=True), {}, WEB | WARM, Offer(), id="and when its turn has come"),
        pytest.param(RunSlot(offered=True), {}, WEB | WARM, Queue(2), id="once only"),
        pytest.param(SOON, AWAITS, WEB | WARM, Offer(1.5, waits=True), id="the next idle pod is waited for"),
        pytest.param(
            replace(SOON, idle_pod_in=0.0, offered=True), {}, WEB | WARM, Offer(waits=True), id="that is overdue too"
        ),
        pytest.param(replace(SOON, admitted=False), AWAITS, WEB | WARM, Queue(2), id="not before its turn"),
        pytest.param(SOON, AWAITS, WEB, {"status": {"start": "cold"}}, id="not without a pool"),
        pytest.param(
            RunSlot(admitted=True),
            AWAITS,
            WEB | WARM,
            {"status": {"start": "cold"}},
            id="not if a cold start is sooner",
        ),
        pytest.param(
            SOON,
            {"annotations": {names.ANNOTATION_REPLY_TO: "http://10.0.0.1:8081"}},
            WEB | WARM,
            {"status": None},
            id="nor by a run that its web-proxy does not let wait",
        ),
        pytest.param(RunSlot(admitted=True), {}, {}, {"served": False}, id="its turn starts it"),
        pytest.param(RunSlot(admitted=True), {"timeout": "1m"}, {}, {"deadline": 693}, id="with its own timeout"),
        pytest.param(
            RunSlot(admitted=True), QUEUED_7, {}, {"status": {"queuePosition": None}}, id="position taken back"
        ),
        pytest.param(RunSlot(admitted=True), {}, WEB, {"served": True}, id="served by the web-proxy"),
        pytest.param(RunSlot(admitted=True), {}, WEB, {"status": {"start": "cold"}}, id="idle pods come too late"),
        pytest.param(
            RunSlot(admitted=True, offered=True), {}, WEB | WARM, {"status": {"start": "cold"}}, id="or had it"
        ),
        pytest.param(RunSlot(admitted=True, job_known=True), {}, {}, "lost", id="never a second Job"),
        pytest.param(RunSlot(admitted=True), {"cancel": True}, {}, "cancelled", id="cancelled before its turn"),
    ],
)
def test_a_run_without_a_job_starts_queues_or_is_offered(
    slot: RunSlot, of_run: dict[str, Any], of_instance: dict[str, Any], expected: Any
) -> None:
    decision = decide(seen(2, slot=slot, run=run(**of_run), instance=instance(**of_instance)))
    if isinstance(expected, str):
        assert error(decision)[0] == expected
    elif isinstance(expected, dict):
        assert isinstance(decision, Start)
        assert {name: getattr(decision, name) for name in expected} == expected
    else:
        assert decision == expected


def test_a_run_waits_for_its_instance_and_says_so_once() -> None:
    decision = decide(seen(instance=None))
    assert isinstance(decision, Report)
    assert decision.requeue_after == 5
    assert decision.status["phase"] == "Pending"
    [condition] = decision.status["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Accepted", "False", "InstanceNotFound")
    assert decide(seen(7, instance=None, run=run(status=decision.status))) == Wait(5)


def test_a_run_whose_instance_never_comes_ends_with_that_reason() -> None:
    decision = decide(seen(601, instance=None))
    assert error(decision) == ("instance_missing", 404)
    assert message(decision) == "There is no SympoziumInstance alice in namespace team."
    assert error(decide(seen(60, instance=None, limits=replace(LIMITS, queue_timeout=60)))) == ("instance_missing", 404)
    assert isinstance(decide(seen(66, instance=None, run=run(timeout="1m"))), Report)


def test_a_run_waits_for_its_start_as_long_as_its_instance_says() -> None:
    patient = instance(model={"queueTimeout": "2h", "runTimeout": "1m"})
    assert isinstance(decide(seen(7199, instance=patient)), Start)
    decision = decide(seen(7200, instance=patient))
    assert error(decision) == ("timeout", 504)
    assert message(decision) == "The run could not start within 7200 s."


def test_a_run_with_a_tool_policy_starts() -> None:
    assert isinstance(decide(seen(1, run=run(toolPolicy={"deny": ["shell"]}))), Start)


@pytest.mark.parametrize(("field", "value"), [("skills", [{"configMapRef": "notes"}])])
def test_what_this_version_cannot_do_is_refused_and_not_left_out(field: str, value: Any) -> None:
    decision = decide(seen(1, run=run(**{field: value})))
    assert error(decision) == ("unsupported_parameter", 400)
    assert isinstance(decision, End)
    assert decision.record["type"] == "error"
    assert decision.record["error"]["message"].startswith(f"spec.{field}: ")


def test_a_run_that_never_gets_its_turn_times_out() -> None:
    assert error(decide(seen(601))) == ("timeout", 504)


def test_a_missing_model_secret_ends_the_run_with_its_name() -> None:
    decision = decide(seen(secret_failure="there is no Secret keys with the model's API key"))
    assert error(decision) == ("model_secret_missing", 503)
    assert "Secret keys" in message(decision)


@pytest.mark.parametrize(
    "known", [{"slot": RunSlot(job_known=True)}, {"run": run(status={"phase": "Running", "jobName": "q1-x"})}]
)
def test_a_run_whose_job_is_gone_is_lost_and_never_started_again(known: dict[str, Any]) -> None:
    assert error(decide(seen(**known))) == ("lost", 502)


def test_a_job_of_this_name_that_belongs_to_something_else_is_not_the_runs() -> None:
    assert error(decide(with_job(job=job_object(owner="another")))) == ("lost", 502)


def test_cancel_ends_a_run_wherever_it_is() -> None:
    for found in (seen(run=run(cancel=True)), with_job(run=run(cancel=True), pod=pod_object(state=running()))):
        decision = decide(found)
        assert error(decision) == ("cancelled", 499)
        assert isinstance(decision, End)
        assert decision.delete_job


def test_a_pod_is_not_inspected_in_the_first_second() -> None:
    assert not should_inspect_pods(run(), job_object(), CREATED)
    assert should_inspect_pods(run(), job_object(), CREATED + timedelta(seconds=1))
    assert should_inspect_pods(run(), job_object(status={"failed": 1}), CREATED)
    assert decide(seen(0, job=job_object())) == Wait(1)


def test_running_is_written_once() -> None:
    pod = pod_object(state=running(since=1), phase="Running")
    decision = decide(with_job(pod=pod))
    assert decision == Report(
        {
            "phase": "Running",
            "jobName": job_object()["metadata"]["name"],
            "podName": pod["metadata"]["name"],
            "startedAt": at(1),
            "times": {"jobAt": at(0).replace("Z", ".000000Z")},
        },
        requeue_after=633,
    )
    assert isinstance(decision, Report)
    assert decide(with_job(5, pod=pod, run=run(status=decision.status))) == Wait(630)


def test_a_run_that_waited_for_its_instance_is_accepted_when_it_starts() -> None:
    waited = decide(seen(instance=None))
    assert isinstance(waited, Report)
    found = decide(seen(9, run=run(status=waited.status)))
    assert isinstance(found, Start)
    assert found.status
    assert [(c["type"], c["status"]) for c in found.status["conditions"]] == [("Accepted", "True")]


@pytest.mark.parametrize(
    "reason", ["InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError"]
)
def test_a_pod_that_can_never_start_ends_the_run_at_once(reason: str) -> None:
    decision = decide(with_job(1, pod=pod_object(state=waiting(reason, "no such thing"))))
    assert error(decision) == ("start_failed", 502)
    assert message(decision) == f"The pod could not be started: {reason}: no such thing."
    assert isinstance(decision, End)
    assert decision.delete_job


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_a_failing_pull_is_watched_for_a_while(reason: str) -> None:
    pod = pod_object(state=waiting(reason, "not found"))
    assert decide(with_job(19, pod=pod)) == Wait(2.5)
    assert error(decide(with_job(20, pod=pod))) == ("start_failed", 502)


UNPLACED = pod_object(
    node=None,
    conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}],
)


def test_an_unschedulable_pod_may_wait_for_room() -> None:
    nodes = (node_object(),)
    assert decide(with_job(597, pod=UNPLACED, nodes=nodes)) == Wait(2.5)
    decision = decide(with_job(600, pod=UNPLACED, nodes=nodes))
    assert error(decision) == ("start_failed", 503)
    assert "Unschedulable: 0/1 nodes" in message(decision)


@pytest.mark.parametrize("node", [node_object(cpu="40m"), node_object(memory="10M")])
def test_a_pod_that_no_node_could_ever_hold_ends_the_run_at_once(node: dict[str, Any]) -> None:
    assert error(decide(with_job(1, pod=UNPLACED, nodes=(node,)))) == ("start_failed", 503)


def test_one_node_that_is_large_enough_is_enough() -> None:
    assert decide(with_job(1, pod=UNPLACED, nodes=(node_object(cpu="1m"), node_object("b")))) == Wait(2.5)


def test_a_job_that_is_denied_its_pod_ends_with_kubernetes_reason() -> None:
    warning = "FailedCreate: exceeded quota: small"
    assert decide(with_job(14, warning=warning)) == Wait(2.5)
    decision = decide(with_job(15, warning=warning))
    assert error(decision) == ("start_failed", 503)
    assert "exceeded quota: small" in message(decision)


def test_a_job_that_a_quota_denies_its_pod_waits_while_another_run_may_free_the_quota() -> None:
    warning = "FailedCreate: exceeded quota: small"
    assert decide(with_job(599, warning=warning, quota_may_free=True)) == Wait(1)
    assert error(decide(with_job(600, warning=warning, quota_may_free=True))) == ("start_failed", 503)
    assert error(decide(with_job(15, warning="FailedCreate: denied", quota_may_free=True))) == ("start_failed", 503)


@pytest.mark.parametrize(
    ("requested", "limited", "fits"),
    [
        ("pods=1", "pods=0", False),
        ("pods=1", "pods=1", True),
        ("pods=1,requests.cpu=50m", "pods=9,requests.cpu=0.04", False),
        ("pods=1,requests.memory=64Mi", "pods=9,requests.memory=1Gi", True),
        ("pods=?", "pods=0", True),
    ],
)
def test_a_job_waits_for_no_quota_that_is_too_small_for_it_alone(requested: str, limited: str, fits: bool) -> None:
    text = f"exceeded quota: q, requested: {requested}, used: pods=6, limited: {limited}"
    warning = f'FailedCreate: Error creating: pods "a" is forbidden: {text}'
    decision = decide(with_job(15, warning=warning, quota_may_free=True))
    assert isinstance(decision, Wait) if fits else error(decision) == ("start_failed", 503)


def test_a_job_without_a_pod_and_without_a_reason_gets_the_start_timeout() -> None:
    assert decide(with_job(44)) == Wait(2.5)
    assert error(decide(with_job(45))) == ("start_failed", 503)


def test_a_pod_that_stays_in_creation_ends_with_its_warning() -> None:
    pod = pod_object(state=waiting("ContainerCreating"))
    assert decide(with_job(50, pod=pod)) == Wait(2.5)
    decision = decide(with_job(50, pod=pod, warning="FailedMount: no volume"))
    assert error(decision) == ("start_failed", 502)
    assert "FailedMount: no volume" in message(decision)


def test_events_are_read_only_where_something_is_missing() -> None:
    now = CREATED + timedelta(seconds=50)
    assert should_read_warnings(None, job_object(), CREATED, LIMITS)
    assert not should_read_warnings(None, job_object(status={"failed": 1}), now, LIMITS)
    assert not should_read_warnings(pod_object(), job_object(), CREATED + timedelta(seconds=44), LIMITS)
    assert should_read_warnings(pod_object(), job_object(), now, LIMITS)
    assert not should_read_warnings(pod_object(state=running()), job_object(), now, LIMITS)


def test_a_run_waits_for_an_idle_pod_no_longer_than_web_proxies_claim_one() -> None:
    facts = seen(24, slot=SOON, run=run(**AWAITS), instance=instance(**(WEB | WARM)))
    assert isinstance(decide(facts), Offer)
    assert isinstance(decide(replace(facts, now=CREATED + timedelta(seconds=25))), Start)

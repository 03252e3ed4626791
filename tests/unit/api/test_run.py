"""When a run came, as lines are ordered by it."""

from datetime import UTC, datetime

import pytest
from tests.fakes.kubernetes import FakeKubernetes

from sympozium_api import names, terminal_status
from sympozium_api.client import ApiError
from sympozium_api.resources import RUNS
from sympozium_api.run import AgentRun


def came(created: str, accepted: str | None) -> str:
    annotations = {names.ANNOTATION_ACCEPTED_AT: accepted} if accepted else {}
    metadata = {"creationTimestamp": created, "annotations": annotations}
    return AgentRun.model_validate({"metadata": metadata, "spec": {"agentRef": "alice", "task": "hello"}}).accepted_at


def test_runs_of_one_second_are_ordered_by_the_moment_they_were_accepted() -> None:
    earlier, later = "2026-01-01T00:00:01.250000Z", "2026-01-01T00:00:01.750000Z"
    assert came("2026-01-01T00:00:01Z", earlier) < came("2026-01-01T00:00:01Z", later)


@pytest.mark.parametrize(
    "accepted", [None, "2020-01-01T00:00:00.000000Z", "", "nonsense", "2030-01-01T00:00:00.000000Z"]
)
def test_nobody_gets_before_or_behind_the_second_of_the_run_s_creation(accepted: str | None) -> None:
    assert (
        came("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.999999Z")
        < came("2026-01-01T00:00:01Z", accepted)
        < came("2026-01-01T00:00:02Z", None)
    )


@pytest.mark.parametrize(
    "end", [".zz", ".5", ".Z", ":005Z", ".5+14:00", ".5\u0660Z", ".5Z\n", ".", "0Z", "-99:00", ".123456789Z", ""]
)
def test_a_run_ends_whatever_time_of_acceptance_it_shows(end: str) -> None:
    accepted = came("2026-01-01T00:00:01Z", f"2026-01-01T00:00:01{end}")
    record = {"type": "error", "error": {"type": "lost", "message": "lost", "httpStatus": 502}}
    now = datetime(2026, 1, 1, 0, 0, 4, tzinfo=UTC)
    status = terminal_status.status_of(
        record, job_name=None, pod_name=None, started_at=None, now=now, accepted_at=accepted
    )
    assert status["times"]["acceptedAt"].startswith("2026-01-01T00:00:01")
    assert status["duration"] in ("2.9s", "3.0s")


async def test_a_server_run_cannot_be_cancelled_and_says_what_helps() -> None:
    cluster = FakeKubernetes()
    head = {"apiVersion": names.API_VERSION, "kind": "AgentRun"}
    for mode, task in (("server", {}), ("task", {"task": "hello"})):
        spec = {"agentRef": "demo", "mode": mode} | task
        cluster.put(head | {"metadata": {"name": mode, "namespace": "default"}, "spec": spec})
    await cluster.patch(RUNS, "default", "task", {"spec": {"cancel": True}})
    with pytest.raises(ApiError, match="switch its instance's web endpoint off instead"):
        await cluster.patch(RUNS, "default", "server", {"spec": {"cancel": True}})


async def test_a_server_run_that_0_2_0_let_be_cancelled_still_takes_a_status() -> None:
    cluster = FakeKubernetes()
    spec = {"agentRef": "demo", "mode": "server", "cancel": True}
    metadata = {"name": "demo-web-endpoint", "namespace": "default"}
    cluster.put({"apiVersion": names.API_VERSION, "kind": "AgentRun", "metadata": metadata, "spec": spec})
    await cluster.patch(RUNS, "default", "demo-web-endpoint", {"status": {"phase": "Serving"}}, subresource="status")


def test_a_run_without_contents_is_not_copied_again() -> None:
    run = AgentRun.model_validate({"metadata": {}, "spec": {"agentRef": "alice", "task": "hello"}}).without_contents()
    assert run.spec.task is None
    assert run.without_contents() is run


def test_what_a_run_leaves_out_is_not_copied_for_each_run_that_is_read() -> None:
    first, second = (AgentRun.model_validate({"metadata": {}, "spec": {"agentRef": "alice"}}) for _ in range(2))
    assert first.status is second.status

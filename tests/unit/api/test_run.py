"""When a run came, as lines are ordered by it."""

import pytest

from sympozium_api import names
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

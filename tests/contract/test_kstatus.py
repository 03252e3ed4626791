"""Instances and runs as kstatus reads them: Flux and others wait for Current, and give up at Failed."""

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.crd_admission import stored
from tests.integration.egress.conftest import IN_FORCE
from tests.unit.api.test_providers import provider_manifest
from tests.unit.api.tools import binding_manifest, tool_manifest
from tests.unit.operator.objects import WEB_ENDPOINT, instance, run_object
from tests.unit.operator.run_facts import FRESH
from tests.unit.operator.test_instance_plan import plan, served

from sympozium_api import agent_protocol, terminal_status
from sympozium_api.agent_records import Done, End
from sympozium_api.run import AgentRun
from sympozium_operator.policy import run_decision
from sympozium_operator.policy.instance_plan import InstancePlan
from sympozium_operator.policy.run_action import Report

FOLDER = Path(__file__).with_name("kstatus")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DONE = Done(type="done", choices=[{"index": 0, "message": {"content": "Hi"}}], usage={}, durationMs=5)


def instance_with(found: InstancePlan) -> dict[str, Any]:
    body = instance(**WEB_ENDPOINT).model_dump(by_alias=True, exclude_none=True)
    return body | {"status": found.status}


def unseen(plural: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return an object as the API server shows it before anybody has written its status."""
    return stored(plural, {name: part for name, part in body.items() if name != "status"})


def run_with(**status: Any) -> dict[str, Any]:
    """Return a run after a merge patch of its status."""
    body = unseen("agentruns", run_object())
    return body | {"status": body["status"] | status}


def ended(record: End) -> dict[str, Any]:
    return run_with(
        **terminal_status.status_of(record, job_name=None, pod_name=None, started_at=None, now=NOW, generation=1)
    )


def without_instance() -> dict[str, Any]:
    decision = run_decision.decide(replace(FRESH, run=AgentRun.model_validate(run_with()), instance=None))
    assert isinstance(decision, Report)
    return run_with(**decision.status)


def statuses(*objects: dict[str, Any]) -> list[str]:
    go = subprocess.run(
        ["go", "run", "."], cwd=FOLDER, input=json.dumps(objects), text=True, check=False, capture_output=True
    )
    assert go.returncode == 0, go.stderr
    found: list[str] = json.loads(go.stdout)
    return found


@pytest.mark.timeout(600)
def test_kstatus_reads_instances_and_runs_as_their_users_do() -> None:
    secret: dict[str, Any] = {"authRefs": [{"provider": "openai", "secret": "keys"}]}
    invalid: dict[str, Any] = {"skills": [{"skillPackRef": "web-endpoint", "params": {"rate_limit_rpm": "fast"}}]}
    cases = {
        "unseen": (unseen("sympoziuminstances", instance().model_dump(by_alias=True, exclude_none=True)), "InProgress"),
        "unseen Tool": (unseen("tools", tool_manifest()), "InProgress"),
        "unseen Provider": (unseen("providers", provider_manifest()), "InProgress"),
        "unseen ToolBinding": (unseen("toolbindings", binding_manifest()), "InProgress"),
        "Tool in force": (tool_manifest() | {"status": {"conditions": IN_FORCE}}, "Current"),
        "ready": (instance_with(plan()), "Current"),
        "starting": (instance_with(served(server=None)), "InProgress"),
        "waits for a Secret": (instance_with(plan(instance=instance(**secret))), "InProgress"),
        "invalid spec": (instance_with(served(instance=instance(**invalid))), "Failed"),
        "new run": (run_with(), "InProgress"),
        "running": (run_with(phase="Running"), "InProgress"),
        "run without its instance": (without_instance(), "InProgress"),
        "succeeded": (ended(DONE), "Current"),
        "failed": (ended(agent_protocol.error("model_error", "no", 502)), "Failed"),
        "cancelled": (ended(agent_protocol.error("cancelled", "gone", 499)), "Failed"),
    }
    found = statuses(*(body for body, _ in cases.values()))
    assert dict(zip(cases, found, strict=True)) == {name: expected for name, (_, expected) in cases.items()}

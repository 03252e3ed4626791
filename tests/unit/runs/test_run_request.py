"""A caller's request for a run."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.integration.conftest import instance

from sympozium_api import names
from sympozium_api.instance import SympoziumInstance
from sympozium_api.json_members import compact
from sympozium_api.model_params import ModelParams
from sympozium_runs import run_request
from sympozium_runs.run_request import RunRequest
from sympozium_runs.run_version import RunVersion


@pytest.mark.parametrize(("size", "is_large"), [(100, False), (10_000, True)])
def test_a_large_body_is_measured_once(monkeypatch: pytest.MonkeyPatch, size: int, is_large: bool) -> None:
    measured = list[Any]()

    def counted(value: Any) -> str:
        measured.append(value)
        return compact(value)

    monkeypatch.setattr(run_request, "compact", counted)
    run = RunRequest({"messages": [{"role": "user", "content": "x" * size}]}, "web-proxy", "api-key")
    assert [run.is_large, run.is_large] == [is_large, is_large]
    assert measured == [run.body]


@pytest.mark.parametrize(
    ("fields", "caller"),
    [
        ({}, None),
        ({"scopes": ("tools:write",)}, {"user": "key", "scopes": ["tools:write"]}),
        ({"user": "ada", "scopes": ()}, {"user": "ada", "scopes": []}),
    ],
)
def test_a_run_keeps_its_callers_name_and_rights(fields: dict[str, Any], caller: object) -> None:
    request = RunRequest({"messages": []}, "api", "key", **fields)
    made = request.manifest(SympoziumInstance.model_validate(instance()), "r", reply_to=None, now=datetime.now(UTC))
    assert made["spec"].get("caller") == caller
    assert names.ANNOTATION_REPLY_TO not in made["metadata"]["annotations"]


def test_a_run_that_callers_may_join_keeps_its_records() -> None:
    assert RunRequest({}, "api", "key", can_be_joined=True).is_resumable
    assert not RunRequest({}, "api", "key").is_resumable


def test_a_run_of_a_version_has_its_prompt_model_and_parameters() -> None:
    version = RunVersion(3, "Bot \u2603", "", "claude", "old", ModelParams(top_p=0.5))
    request = RunRequest({"messages": []}, "api", "key", model="old", version=version, agent_id="0b0e")
    made = request.manifest(SympoziumInstance.model_validate(instance()), "r", reply_to=None, now=datetime.now(UTC))
    assert made["spec"]["model"] == {"providerRef": "claude", "model": "old"}
    assert (made["spec"]["systemPrompt"], made["spec"]["params"]) == ("", {"top_p": 0.5})
    assert made["metadata"]["labels"][names.LABEL_VERSION] == "3"
    annotations = made["metadata"]["annotations"]
    assert (annotations[names.ANNOTATION_AGENT_TITLE], annotations[names.ANNOTATION_AGENT_ID]) == ("Bot \u2603", "0b0e")

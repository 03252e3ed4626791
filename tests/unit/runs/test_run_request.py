"""A caller's request for a run."""

import json
from typing import Any

import pytest

from sympozium_runs.run_request import RunRequest


@pytest.mark.parametrize(("size", "is_large"), [(100, False), (10_000, True)])
def test_a_large_body_is_measured_once(monkeypatch: pytest.MonkeyPatch, size: int, is_large: bool) -> None:
    measured, dumps = list[Any](), json.dumps

    def counted(value: Any, **options: Any) -> str:
        measured.append(value)
        return dumps(value, **options)

    monkeypatch.setattr(json, "dumps", counted)
    run = RunRequest({"messages": [{"role": "user", "content": "x" * size}]}, "web-proxy", "api-key")
    assert [run.is_large, run.is_large] == [is_large, is_large]
    assert measured == [run.body]

"""Failures of runs as callers of both protocols get them."""

import pytest

from sympozium_api.agent_records import RunErrorDetail
from sympozium_openai import errors
from sympozium_runs.run_failure import refusal_of
from sympozium_webproxy.protocol.mcp import results


@pytest.mark.parametrize(("kind", "status"), [("model_secret_missing", 503), ("model_secret_refused", 403)])
def test_no_caller_is_told_the_name_of_a_secret(kind: str, status: int) -> None:
    detail: RunErrorDetail = {"type": kind, "message": "there is no Secret openai-key", "httpStatus": status}
    assert "openai-key" not in refusal_of(detail).message
    result = results.of_end("demo-1", {"type": "error", "error": detail, "durationMs": 1})
    assert "openai-key" not in result.model_dump_json()
    assert kind in result.model_dump_json()


def test_a_models_refusal_of_our_credentials_is_not_the_callers_fault() -> None:
    refusal = refusal_of({"type": "model_error", "message": "bad key", "httpStatus": 401})
    assert refusal.status == 502
    assert errors.render(refusal)["error"]["message"] == "The model answered 401: bad key"

"""The steps of a run with tools, as its status keeps them."""

from typing import Any

import pytest
from tests.unit.api.test_terminal_status import choice, done, ended

from sympozium_api.run_steps import MAX_STEPS_BYTES, size_of, steps_of
from sympozium_api.terminal_status import ending_of

STEP = {
    "kind": "tool",
    "name": "weather",
    "id": "call_1",
    "args": "{}",
    "startedAt": "2026-05-04T03:02:01.123Z",
    "durationMs": 7,
    "error": "refused",
}


def test_steps_and_calls_of_tools_are_in_the_status() -> None:
    status = ended(done(choice(), usage={"prompt_tokens": 3}) | {"steps": [STEP], "toolCalls": 1})
    assert status["steps"] == [STEP]
    assert status["tokenUsage"] == {"inputTokens": 3, "totalTokens": 3, "toolCalls": 1, "durationMs": 7}


def test_a_run_that_failed_has_them_too_and_its_tokens() -> None:
    error = {"type": "limit_exceeded", "message": "m", "httpStatus": 422}
    status = ended({"type": "error", "error": error, "durationMs": 1, "steps": [STEP], "usage": {"prompt_tokens": 3}})
    assert status["steps"] == [STEP]
    assert status["tokenUsage"]["inputTokens"] == 3


def test_counts_that_no_model_reported_stay_absent() -> None:
    assert ended(done(choice(), usage={}))["tokenUsage"] == {"toolCalls": 0, "durationMs": 7}
    assert "steps" not in ended(done(choice()))


@pytest.mark.parametrize(
    "steps",
    [
        "x",
        [1, None, {"kind": "other"}],
        [{"kind": "tool", "name": 1, "id": None, "args": ["x"], "startedAt": "yesterday", "durationMs": -1}],
        [{"kind": "model", "durationMs": True, "inputTokens": 2**60, "outputTokens": "3", "error": "x" * 9000}],
        [STEP | {"name": "n" * 100, "id": "i" * 1000, "args": "a" * 100_000}] * 500,
        [STEP | {"args": "\ud83d"}],
    ],
)
def test_malformed_steps_give_a_status_that_the_schema_accepts(steps: Any) -> None:
    assert ended(done(choice()) | {"steps": steps})["phase"] == "Succeeded"


@pytest.mark.parametrize(
    "step", [STEP | {"args": "ł" * 8000}, STEP | {"args": "\U0001f600" * 8000, "error": "e" * 512}]
)
def test_arguments_go_first_and_the_last_ones_before_the_others(step: dict[str, Any]) -> None:
    kept = steps_of([step] * 200)
    assert kept is not None
    assert len(kept) == 128
    assert size_of(kept) <= MAX_STEPS_BYTES
    assert "args" in kept[0]
    assert "args" not in kept[-1]


def test_an_answer_that_has_no_room_beside_the_steps_is_in_parts() -> None:
    steps = [STEP | {"args": "x" * 8000}] * 14
    answer = choice("x" * (380 * 1024))
    assert ending_of(done(answer)).answer is None
    long = ending_of(done(answer) | {"steps": steps})
    assert long.answer is not None
    assert len(long.outcome["steps"]) == 14

"""How an end record becomes a run's terminal status."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from tests.fakes.kubernetes import FakeKubernetes
from tests.strategies.kubernetes_objects import end_records

from sympozium_api import agent_protocol, agent_records
from sympozium_api.json_text import MAX_TEXT_BYTES
from sympozium_api.resources import RUNS
from sympozium_api.run_status import MAX_RESULT_BYTES, RunStatus
from sympozium_api.run_times import duration_text
from sympozium_api.terminal_status import as_stored, ending_of, record_of, status_of

NOW = datetime(2026, 5, 4, 3, 2, 1, 999, tzinfo=UTC)


def ended(record: dict[str, Any] | agent_records.Error) -> dict[str, Any]:
    status = status_of(record, job_name="r-1", pod_name="r-1-abcde", started_at=None, now=NOW)
    RunStatus.model_validate(status)
    return status


def done(*choices: dict[str, Any], usage: Any = None) -> dict[str, Any]:
    return {"type": "done", "choices": list(choices), "usage": usage, "durationMs": 7}


def choice(content: Any = "Hi", **beside: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": content} | beside, "finish_reason": "stop"}


def answer_of(status: dict[str, Any]) -> Any:
    """What the status keeps beside the text."""
    return json.loads(status["answer"]["json"])


def test_a_plain_answer_is_its_text_and_its_reason() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert ended(done(choice(), usage=usage)) == {
        "phase": "Succeeded",
        "result": "Hi",
        "finishReason": "stop",
        "jobName": "r-1",
        "podName": "r-1-abcde",
        "completedAt": "2026-05-04T03:02:01Z",
        "times": {"endedAt": "2026-05-04T03:02:01.000999Z"},
        "conditions": [
            {
                "type": "Complete",
                "status": "True",
                "reason": "Succeeded",
                "message": "the run has an answer",
                "lastTransitionTime": "2026-05-04T03:02:01Z",
            }
        ],
        "tokenUsage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7, "toolCalls": 0, "durationMs": 7},
    }


@pytest.mark.parametrize(
    "answer",
    [
        [choice(None, tool_calls=[{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}])],
        [choice(refusal="no")],
        [choice() | {"logprobs": {"content": []}}],
        [choice([{"type": "text", "text": "Hi"}])],
        [choice(), choice("Ho") | {"index": 1}],
    ],
)
def test_an_answer_that_is_more_than_text_is_kept_whole(answer: list[dict[str, Any]]) -> None:
    assert answer_of(ended(done(*answer)))["choices"] == answer


def test_null_and_empty_fields_beside_the_text_need_no_room() -> None:
    assert "answer" not in ended(done(choice(refusal=None, annotations=[]) | {"logprobs": None}))


def test_an_answer_without_choices_is_an_error() -> None:
    assert ended(done())["error"] == {
        "type": "model_error",
        "message": "The model answered without any choice.",
        "httpStatus": 502,
    }


@pytest.mark.parametrize(
    "answer",
    [choice("é" * (MAX_TEXT_BYTES // 2) + "!"), choice("x" * (MAX_TEXT_BYTES // 2), reasoning="y" * MAX_TEXT_BYTES)],
)
def test_an_answer_that_a_run_cannot_store_is_an_error(answer: dict[str, Any]) -> None:
    status = ended(done(answer))
    assert (status["phase"], status["error"]["type"], status["error"]["httpStatus"]) == (
        "Failed",
        "answer_too_large",
        502,
    )
    assert "result" not in status


@pytest.mark.parametrize(("length", "size"), [(4000, None), (4096, 4096), (300_000, 300_000)])
def test_a_run_says_how_many_bytes_its_answer_takes_from_4_kib_on(length: int, size: int | None) -> None:
    assert ended(done(choice("x" * length))).get("answerBytes") == size


def test_an_answer_that_fits_into_its_run_is_there() -> None:
    assert ended(done(choice("x" * MAX_RESULT_BYTES)))["result"] == "x" * MAX_RESULT_BYTES


@pytest.mark.parametrize(
    "answer",
    [
        choice("x" * (MAX_RESULT_BYTES + 1)),
        choice("é" * (MAX_RESULT_BYTES // 2) + "!"),
        choice("<" * (MAX_RESULT_BYTES // 6 + 1)),  # which the API server escapes
        choice("x" * (MAX_RESULT_BYTES // 2), reasoning="y" * 200_000),
        choice("\U0001f600" * 2 * 1024 * 1024),
        choice("x" * 8 * 1024 * 1024),
    ],
)
def test_an_answer_that_does_not_fit_into_its_run_is_whole_in_parts(answer: dict[str, Any]) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    end = ending_of(done(answer, usage=usage) | {"about": {"citations": ["a"]}})
    status = status_of(end, job_name="r-1", pod_name="r-1-abcde", started_at=None, now=NOW)
    assert end.answer is not None
    assert (status["phase"], status["answer"], "result" in status) == ("Succeeded", end.answer.field, False)
    stored = RunStatus.model_validate(status)
    assert stored.answer is not None
    read = stored.model_copy(update={"answer": stored.answer.joined("".join(end.answer.parts))})
    assert record_of(read) == end.record
    assert (end.record["choices"], end.record["usage"]) == ([answer], usage)  # type: ignore[typeddict-item]


def test_half_a_surrogate_pair_in_a_long_answer_is_told_as_it_is_stored() -> None:
    end = ending_of(done(choice("x" * MAX_RESULT_BYTES + "\ud83d") | {"finish_reason": "\ud83d"}))
    assert end.record["choices"][0]["message"]["content"] == "x" * MAX_RESULT_BYTES + "?"  # type: ignore[typeddict-item]


def test_an_answer_whose_parts_are_missing_is_an_error_that_names_them() -> None:
    end = ending_of(done(choice("x" * (MAX_RESULT_BYTES + 1))))
    told = record_of(RunStatus.model_validate(end.outcome))
    assert told["type"] == "error"
    assert told["error"]["type"] == "internal_error"
    assert "status.answer.parts" in told["error"]["message"]


def test_an_error_keeps_the_models_status() -> None:
    status = ended(agent_protocol.error("model_error", "quota exceeded", 429))
    assert status["phase"] == "Failed"
    assert status["error"] == {"type": "model_error", "message": "quota exceeded", "httpStatus": 429}
    assert "tokenUsage" not in status


def test_the_error_cancelled_is_a_phase_of_its_own() -> None:
    assert ended(agent_protocol.error("cancelled", "the caller left", 499))["phase"] == "Cancelled"


@pytest.mark.parametrize(
    "record",
    [
        {"type": "error"},
        {"type": "error", "error": "boom"},
        {"type": "error", "error": {"type": 5 * "x" * 64, "message": "m" * 9000, "httpStatus": 200}},
        {"type": "other"},
        {"type": "done", "choices": ["text"]},
        {"type": "done", "choices": [choice()], "usage": {"prompt_tokens": -1, "total_tokens": True}},
    ],
)
def test_a_malformed_record_still_gives_a_status_that_the_schema_accepts(record: dict[str, Any]) -> None:
    assert ended(record)["phase"] in ("Failed", "Succeeded")


def test_what_the_model_said_beside_its_answer_is_kept_and_told_again() -> None:
    rich = {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    status = ended(done(choice(), usage=rich) | {"about": {"system_fingerprint": "fp"}})
    assert answer_of(status) == {"usage": rich, "about": {"system_fingerprint": "fp"}}
    again: Any = record_of(RunStatus.model_validate(status))
    assert (again["usage"], again["about"]) == (rich, {"system_fingerprint": "fp"})


def test_an_answer_is_too_large_with_what_is_said_beside_it() -> None:
    status = ended(done(choice("x" * (MAX_TEXT_BYTES - 100))) | {"about": {"citations": ["y" * 200]}})
    assert (status["phase"], status["error"]["type"]) == ("Failed", "answer_too_large")


def test_an_answer_that_fits_only_without_what_is_said_beside_it_is_in_parts() -> None:
    status = ended(done(choice("x" * (MAX_RESULT_BYTES - 100))) | {"about": {"citations": ["y" * 200]}})
    assert (status["phase"], status["answer"]["parts"]) == ("Succeeded", 1)


DEEP: Any = None
for _ in range(1000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "record",
    [
        done({"message": "hello"}),
        {"type": "done", "choices": 5},
        {"type": "done", "choices": {"message": {}}},
        done(choice() | {"logprobs": float("nan")}),
        done(choice() | {"logprobs": DEEP}),
        done(choice(), usage={"prompt_tokens": 1, "cost": float("inf")}),
        done(*([choice()] * 129)),
    ],
)
def test_an_answer_that_no_run_can_store_is_an_error(record: dict[str, Any]) -> None:
    status = ended(record)
    assert (status["phase"], status["error"]["type"]) == ("Failed", "model_error")


def test_half_a_surrogate_pair_anywhere_breaks_no_end() -> None:
    half = "\ud83d"
    answer = as_stored(done(choice(half) | {"finish_reason": half}, choice(half)))
    assert [part["message"]["content"] for part in answer["choices"]] == ["?", "?"]  # type: ignore[typeddict-item]
    failure: Any = as_stored({"type": "error", "error": {"type": "model_error", "message": half, "code": half}})
    assert (failure["error"]["message"], failure["error"]["code"]) == ("?", "?")


def test_numbers_of_an_answer_stay_what_they_are() -> None:
    record = done(choice() | {"seed": 10**30, "logprobs": {"b": 1.0, "a": -0.0}})
    assert json.dumps(as_stored(record)["choices"]) == json.dumps(record["choices"])  # type: ignore[typeddict-item]


def test_words_of_an_error_that_are_no_texts_are_left_out() -> None:
    status = ended({"type": "error", "error": {"type": DEEP, "message": {"a": 1}, "httpStatus": 10**30}})
    assert status["error"] == {"type": "internal_error", "message": "The agent gave no reason.", "httpStatus": 502}


@pytest.mark.parametrize("kind", ["ошибка", "a\r\nset-cookie: b=c", "line\n", "made-up", "", "x" * 65, None])
def test_a_type_of_error_that_is_no_word_is_an_internal_error(kind: Any) -> None:
    status = ended({"type": "error", "error": {"type": kind, "message": "words", "httpStatus": 429}})
    assert status["error"] == {"type": "internal_error", "message": "words", "httpStatus": 429}


def test_a_stored_type_of_error_that_is_no_word_is_read_as_an_internal_error() -> None:
    error = {"type": "a\r\nb: c", "message": "words", "httpStatus": 429}
    read: Any = record_of(RunStatus.model_validate({"phase": "Failed", "error": error}))
    assert read["error"]["type"] == "internal_error"


@given(end_records)
async def test_whatever_a_pod_writes_becomes_a_terminal_status_that_the_api_server_stores(
    record: dict[str, Any],
) -> None:
    cluster = FakeKubernetes()
    cluster.put({"kind": "AgentRun", "metadata": {"name": "r"}, "spec": {"agentRef": "a", "task": "t"}})
    status = ended(record)
    json.dumps(status, allow_nan=False)
    stored = await cluster.patch(RUNS, "default", "r", {"status": status}, subresource="status", strict=False)
    assert stored["status"]["phase"] in ("Succeeded", "Failed", "Cancelled")
    assert record_of(RunStatus.model_validate(stored["status"]))["type"] in ("done", "error")


@pytest.mark.parametrize(
    "record",
    [
        {"type": "done", "choices": [{"index": 0, "message": {"content": "Hi"}}], "usage": {}},
        {"type": "error", "error": {}},
    ],
)
def test_the_model_that_answered_or_was_asked_last_is_the_runs(record: dict[str, Any]) -> None:
    context: dict[str, Any] = {"job_name": None, "pod_name": None, "started_at": None, "now": datetime.now(UTC)}
    steps = [{"kind": "model", "name": "cloud:gpt-x", "durationMs": 3, "error": "the model says 500"}]
    status = status_of(record | {"model": "claude-y", "steps": steps}, **context, model="gpt-x")
    assert (status["model"], status["steps"]) == ("claude-y", steps)
    assert status_of(record | {"model": 5}, **context, model="gpt-x")["model"] == "gpt-x"


def test_an_answer_completes_the_run_and_its_moments_and_duration_are_written() -> None:
    status = status_of(
        {"type": "done", "choices": [{"index": 0, "message": {"content": "Hi"}}], "usage": {}, "durationMs": 5},
        job_name=None,
        pod_name=None,
        started_at=None,
        now=datetime(2026, 1, 1, 0, 0, 1, 14_000, tzinfo=UTC),
        model="gpt-x",
        generation=2,
        accepted_at="2026-01-01T00:00:01.000000Z",
        first_token_at=datetime(2026, 1, 1, 0, 0, 1, 9_000, tzinfo=UTC),
    )
    assert status["times"] == {
        "acceptedAt": "2026-01-01T00:00:01.000000Z",
        "firstTokenAt": "2026-01-01T00:00:01.009000Z",
        "endedAt": "2026-01-01T00:00:01.014000Z",
    }
    assert (status["duration"], status["model"]) == ("14ms", "gpt-x")
    assert [(c["type"], c["status"], c["reason"], c["observedGeneration"]) for c in status["conditions"]] == [
        ("Complete", "True", "Succeeded", 2)
    ]
    assert RunStatus.model_validate(status).times


@pytest.mark.parametrize(
    ("kind", "reason"), [("model_error", "ModelError"), ("cancelled", "Cancelled"), ("_", "Failed")]
)
def test_any_other_end_fails_the_run(kind: str, reason: str) -> None:
    record = {"type": "error", "error": {"type": kind, "message": "quotes the model", "httpStatus": 502}}
    status = status_of(record, job_name=None, pod_name=None, started_at=None, now=NOW)
    states = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert states == {"Complete": ("False", reason), "Failed": ("True", reason), "Stalled": ("True", reason)}
    assert "quotes" not in str(status["conditions"])


@pytest.mark.parametrize(
    "record", [done(choice()), agent_protocol.error("timeout", "Late.", 504)], ids=["done", "error"]
)
def test_a_turn_whose_session_is_beyond_its_bound_says_how_many_messages_it_does_not_have(record: Any) -> None:
    common: Any = {"job_name": "j", "pod_name": "p", "started_at": None, "now": NOW}
    conditions = status_of(record, **common, left_out=12)["conditions"]
    [told] = [condition for condition in conditions if condition["type"] == "HistoryComplete"]
    assert (told["status"], told["reason"]) == ("False", "OldestLeftOut")
    assert "12 oldest messages" in told["message"]
    assert conditions[:-1] == status_of(record, **common)["conditions"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0ms"),
        (0.0144, "14ms"),
        (0.9994, "999ms"),
        (1.36, "1.4s"),
        (59.94, "59.9s"),
        (59.96, "1m00s"),
        (125.2, "2m05s"),
        (3600, "1h00m"),
        (86400, "24h00m"),
    ],
)
def test_a_duration_is_a_text(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text

"""Errors that a model server reports within an answer whose status is 200."""

import json
from typing import Any

import pytest

from sympozium_agent.loop import ModelError
from sympozium_agent.providers.chunk_parser import ChunkParser

Chunk = dict[str, Any]


def event(value: Any) -> bytes:
    return f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()


def piece(content: str, finish: str | None = None) -> Chunk:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]}


def parsed(*received: bytes) -> list[Chunk]:
    parser = ChunkParser()
    return [chunk for data in received for chunk in parser.feed(data)] + parser.close()


@pytest.mark.parametrize(
    ("value", "message", "code", "status"),
    [
        ({"code": 500, "message": "internal error"}, "internal error", "500", 500),
        ({"code": "oom", "message": "CUDA out of memory"}, "CUDA out of memory", "oom", 502),
        ({"code": 429, "message": "slow down"}, "slow down", "429", 429),
        ({"code": 1, "msg": "no"}, "no", "1", 502),
        ({"status": "error", "message": "boom"}, "boom", None, 502),
        ({"error_code": 336501, "error_msg": "rate"}, "rate", "336501", 502),
        ({"error_code": 17}, '{"error_code": 17}', "17", 502),
        ({"fault": {"faultstring": "boom"}}, "boom", None, 502),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None}, "rate limit", "1002", 429),
        (
            {"base_resp": {"status_code": 2049, "status_msg": "bad key"}, "usage": {"total_tokens": 0}},
            "bad key",
            "2049",
            401,
        ),
        ({"base_resp": {"status_code": 1027, "status_msg": ""}} | piece("Hel"), "code 1027", "1027", 502),
        ({"status_code": 500, "message": "x", "success": False}, "x", None, 500),
        ({"message": "boom", "choices": None, "usage": None}, "boom", None, 502),
        ({"message": "boom", "choices": []}, "boom", None, 502),
    ],
)
def test_an_error_without_the_field_error_is_no_part_of_an_answer(
    value: Chunk, message: str, code: str | None, status: int
) -> None:
    for received in ([event(piece("Hel")), event(value), event("[DONE]")], [json.dumps(value).encode()]):
        with pytest.raises(ModelError) as failure:
            parsed(*received)
        refusal = failure.value.refusal
        assert (refusal.message, refusal.code, failure.value.status) == (message, code, status)


@pytest.mark.parametrize(
    "value",
    [
        {"warning": "no usage"},
        {"base_resp": {"status_code": 0, "status_msg": "success"}} | piece("lo"),
        {"base_resp": {"status_code": "0"}},
        {"base_resp": None},
        {"code": 0, "message": "success"},
        {"code": "0", "msg": ""},
        {"message": "", "code": None, "fault": None},
        piece("") | {"code": 7, "message": "of a chunk"},
        {"usage": {"total_tokens": 1}, "message": "of a chunk"},
    ],
)
def test_other_objects_do_not_end_an_answer(value: Chunk) -> None:
    assert parsed(event(piece("Hel")), event(value), event(piece("lo", "stop")))[-1] == piece("lo", "stop")


@pytest.mark.parametrize(
    "reason",
    [
        "MALFORMED_FUNCTION_CALL",
        "function_call_filter: MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        *("server_error", "internal_error", "model_error", "timeout", "cancelled", "canceled", "failed"),
    ],
)
def test_a_finish_reason_that_says_that_the_server_failed_is_an_error(reason: str) -> None:
    with pytest.raises(ModelError) as failure:
        parsed(event(piece("", reason)), event("[DONE]"))
    assert failure.value.refusal.message == f"The model reported an error: finish_reason '{reason}'."

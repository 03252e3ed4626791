"""Errors of model servers as each vendor words them."""

import json
from email.utils import formatdate
from time import time
from typing import Any

import pytest

from sympozium_api.model_refusal import ModelRefusal, parse_refusal, redacted, refusal_of


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b'{"error": {"message": "no quota", "code": "insufficient_quota"}}', ("no quota", "insufficient_quota")),
        (b'{"error": {"message": "slow down", "code": 429}}', ("slow down", "429")),
        (b'{"error": "model not found"}', ("model not found", None)),
        (b'{"message": "bad key"}', ("bad key", None)),
        (b'{"detail": "not found"}', ("not found", None)),
        (b'{"error": {"type": "overloaded"}}', ('{"type": "overloaded"}', None)),
        (b"[1]", ("[1]", None)),
        (b" <html>502</html> \n", ("<html>502</html>", None)),
        (b"\xff", ("\ufffd", None)),
        (b"", ("", None)),
        (b"[" * 60000, ("[" * 60000, None)),
    ],
)
def test_a_models_refusal_is_read_whatever_its_form(body: bytes, refusal: tuple[str, str | None]) -> None:
    found = parse_refusal(body)
    assert (found.message, found.code) == refusal


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (
            {"error": {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "c_l_e"}},
            ModelRefusal("too long", "c_l_e", "invalid_request_error", "messages", 400),
        ),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"},
            ModelRefusal("Overloaded", type="overloaded_error", status=503),
        ),
        (
            [
                {
                    "error": {
                        "code": 429,
                        "message": "Quota exceeded",
                        "status": "RESOURCE_EXHAUSTED",
                        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "16.5s"}],
                    }
                }
            ],
            ModelRefusal("Quota exceeded", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", None, 429, 17),
        ),
        (
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required", "type": "missing"}]},
            ModelRefusal("body.messages.0: Field required", param="messages.0"),
        ),
        (
            {"object": "error", "message": "bad top_p", "type": "BadRequestError", "param": None, "code": 400},
            ModelRefusal("bad top_p", "400", "BadRequestError", None, 400),
        ),
        (
            {
                "object": "error",
                "message": {"detail": [{"loc": ["body", "n"], "msg": "no"}]},
                "type": "invalid",
                "code": 1,
            },
            ModelRefusal("body.n: no", "1", "invalid"),
        ),
        (
            {"error": "Input is too long", "error_type": "validation"},
            ModelRefusal("Input is too long", type="validation"),
        ),
        ({"errors": [{"message": "no such model", "code": 7}], "success": False}, ModelRefusal("no such model", "7")),
        ({"fault": {"faultstring": "Rate limit quota violation"}}, ModelRefusal("Rate limit quota violation")),
        ({"code": "InvalidApiKey", "message": "Invalid"}, ModelRefusal("Invalid", "InvalidApiKey")),
        ({"error": {"message": "credits", "code": 402}}, ModelRefusal("credits", "402", status=402)),
        ("Service Unavailable", ModelRefusal("Service Unavailable")),
        ({"error": {"code": {"a": 1}, "type": True, "param": [], "message": 5}}, ModelRefusal("5")),
    ],
)
def test_an_error_keeps_the_words_that_its_server_gave_it(body: Any, refusal: ModelRefusal) -> None:
    assert refusal_of(body) == refusal
    assert parse_refusal(json.dumps(body).encode()) == refusal


def test_secrets_are_taken_out_of_each_text_the_longest_first() -> None:
    refusal = ModelRefusal("sk-1 secret-12345678 secret-1", "12345678", None, "s3cr3t", 400, 7)
    headers = {"a": "secret-1", "b": "Bearer secret-12345678", "c": "12345678", "d": "s3cr3t", "e": ""}
    assert redacted(refusal, "sk-1", headers) == ModelRefusal("[key] [key] [key]", "[key]", None, "s3cr3t", 400, 7)
    assert redacted(refusal, None, {}) == refusal


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 1),
        ("0", 0),
        ("-3", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("9" * 9, None),
        (None, None),
    ],
)
def test_the_header_retry_after_is_read(header: str | None, seconds: int | None) -> None:
    assert parse_refusal(b"{}", header).retry_after == seconds


def test_a_retry_after_may_be_a_date() -> None:
    assert parse_refusal(b"{}", formatdate(time() + 30, usegmt=True)).retry_after in range(28, 32)
    assert parse_refusal(b"{}", formatdate(time() - 30, usegmt=True)).retry_after == 0

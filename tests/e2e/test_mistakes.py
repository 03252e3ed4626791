"""Natural mistakes with kubectl, and the words that come: they say what would be right. tests/integration/test_mistakes.py has callers'."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.conftest import Namespace, Object, Refused, instance, until

MODEL_KEY = {"authRefs": [{"provider": "openai", "secret": "opneai"}]}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "wrong-entry"},
    "stringData": {"OPENAI_KEY": "sk-x"},
}


def web_endpoint(**params: str) -> Object:
    return {"skills": [{"skillPackRef": "web-endpoint", "params": params}]}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"webEndpont": {"enabled": True}}, 'unknown field "spec.webEndpont"'),
        ({"webEndpoint": {"rateLimit": {"requestsPerMinute": 0}}}, "should be greater than or equal to 1"),
        ({"webEndpoint": {"rateLimit": {"requestsPerMinute": "10/s"}}}, "must be of type integer"),
        ({"agent": {"runTimeout": "5 minutes"}}, "write hours, minutes and seconds, such as 90s, 5m or 1h30m"),
        ({"base_url": "vllm.models.svc:8000/v1"}, "write a URL with http:// or https://"),
    ],
)
def test_the_api_server_refuses_a_mistake(namespace: Namespace, spec: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as refusal:
        namespace.kubectl("apply", "-f-", stdin=json.dumps(instance("mistaken", **spec)))
    assert words in str(refusal.value)
    assert "should match" not in str(refusal.value)


def test_a_name_that_is_too_long_is_refused_by_its_field(namespace: Namespace) -> None:
    with pytest.raises(Refused) as refusal:
        namespace.kubectl("apply", "-f-", stdin=json.dumps(instance("x" * 41)))
    assert "metadata.name must be at most 40 characters" in str(refusal.value)
    assert "<nil>" not in str(refusal.value)


@pytest.fixture
def mistaken(namespace: Namespace) -> Iterator[str]:
    namespace.apply(SECRET)
    yield "mistaken"
    namespace.delete("instance", "mistaken")
    namespace.delete("secret", "wrong-entry")


@pytest.mark.parametrize(
    ("spec", "condition", "reason", "words"),
    [
        (MODEL_KEY, "ModelReady", "SecretNotFound", "there is no Secret opneai with the model's API key"),
        (
            {"authRefs": [{"provider": "openai", "secret": "wrong-entry"}]},
            "ModelReady",
            "SecretKeyNotFound",
            "the Secret wrong-entry has neither the key OPENAI_API_KEY nor api-key",
        ),
        (
            web_endpoint(rate_limit_rpm="fast"),
            "Accepted",
            "InvalidSpec",
            "'fast' is not a whole number from 1 to 1000000",
        ),
        (
            web_endpoint(rate_limit_rmp="5"),
            "Accepted",
            "InvalidSpec",
            "rate_limit_rmp: unknown; known are auth_secret_ref, hostname, rate_limit_burst, rate_limit_reads, rate_limit_rpm",
        ),
        (
            {"skills": [{"skillPackRef": "web-endpiont"}]},
            "Accepted",
            "SkillPackNotFound",
            "there is no SkillPack web-endpiont, neither in the instance's namespace nor in the operator's",
        ),
    ],
)
def test_a_condition_and_a_column_report_a_mistake(
    namespace: Namespace, mistaken: str, spec: dict[str, Any], condition: str, reason: str, words: str
) -> None:
    namespace.apply(instance(mistaken, **spec))

    def reported() -> list[tuple[str, str]]:
        conditions = namespace.status("instance", mistaken).get("conditions", [])
        return [(c["reason"], c["message"]) for c in conditions if c["type"] == condition and c["status"] == "False"]

    until(lambda: any(why == reason and words in message for why, message in reported()), within=30, why=reported)
    header, row = namespace.kubectl("get", "instance", mistaken).splitlines()
    assert {"READY", "REASON"} <= set(header.split())
    assert {"False", reason} <= set(row.split())
    warnings = ("--field-selector", f"involvedObject.name={mistaken},type=Warning")
    until(lambda: any(words in event["message"] for event in namespace.list("events", *warnings)), within=30)
